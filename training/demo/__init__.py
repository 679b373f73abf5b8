"""The demo: people, sample products, fitted models and a stream of parts. Only in demo mode.

``prepare`` may be interrupted and run again at any point: each step looks first whether its work
is there. Everything goes through the services that a real installation uses. Nothing is imported
here: the drawing processes import ``factory`` without Django.
"""
