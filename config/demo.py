"""Who can sign in to the demo. Made by ``manage.py demo`` only, which refuses outside demo mode."""

# (user name, password, what they are there for)
LOGINS = (
    ("operator", "operator", "clears the queue"),
    ("supervisor", "supervisor", "watches the shift"),
    ("engineer", "engineer", "trains and promotes"),
)
