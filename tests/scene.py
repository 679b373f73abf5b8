"""A small plant inside a stack: one line, one product, people of each role, normals, a device.

Made through the product's own services, so that a scene is what a person could have made.
"""

from dataclasses import dataclass

from tests.stack import Stack

PASSWORD = "a long word for tests"
_PEOPLE_AND_PRODUCT = """
from inspection.models import Role
from inspection.services.people import device_create
from inspection.services.products import ProductFacts, ViewFacts, product_create
site = Site.objects.create(name="Plant", time_zone="UTC")
line = Line.objects.create(site=site, name="Line 2")
station = Station.objects.create(line=line, name="2A")
people = {}
for name, roles in {
    "operator": [Role.OPERATOR], "supervisor": [Role.SUPERVISOR],
    "engineer": [Role.ENGINEER], "admin": list(Role),
}.items():
    person = Person.objects.create_user(name, password=PASSWORD)
    for role in roles:
        Membership.objects.create(person=person, role=role)
    people[name] = person
product = product_create(
    facts=ProductFacts(name="Filter cloth", line=line), person=people["admin"],
    views=[ViewFacts(name="face", station=station, any_angle=True)],
)
device, token = device_create(
    by=people["admin"], name="camera", scopes=["images:write", "line:read"], station=station,
)
answer = {
    "line": line.pk, "station": station.pk, "product": product.pk,
    "view": product.views.get().pk, "token": token,
}
"""
_NORMALS = """
from detection.samples import PRODUCTS, make_part
from training.services.normals import NormalFile, normals_import
import io
from PIL import Image as Picture
def png(seed, defect=None):
    sample = PRODUCTS[KEY]
    part = make_part(sample, seed=seed, defect=defect, lot=f"L{seed % 3}")
    pixels = next(iter(part.images.values()))
    stream = io.BytesIO()
    Picture.fromarray(pixels).resize(SIZE).save(stream, "PNG")
    return stream.getvalue()
files = [NormalFile(name=f"n{n}.png", data=png(n), lot=f"L{n % 3}") for n in range(COUNT)]
person = Person.objects.get(username="engineer")
view = View.objects.get(pk=VIEW)
done = normals_import(view=view, person=person, reason="all looked at", files=files)
assert done.added == COUNT, done
from training.services.runs import run_request
answer = run_request(view=view, person=person, promote_when_done=True).pk
"""
_PICTURE = """
import base64, io
from detection.samples import PRODUCTS, make_part
from PIL import Image as Picture
part = make_part(PRODUCTS[KEY], seed=SEED, defect=DEFECT, lot="L1")
stream = io.BytesIO()
Picture.fromarray(next(iter(part.images.values()))).resize(SIZE).save(stream, "PNG")
answer = base64.b64encode(stream.getvalue()).decode()
"""
SAMPLE = "filter-cloth"
SMALL = (256, 192)  # (width, height): enough for a hole, and a fit in seconds


@dataclass(frozen=True, slots=True)
class Scene:
    """The rows of a scene by id, and the camera's token."""

    stack: Stack
    line: int
    station: int
    product: int
    view: int
    token: str

    def picture(self, seed: int, defect: str | None = None) -> bytes:
        """Return a PNG of one sample part, good or with a defect."""
        import base64

        values = {"KEY": SAMPLE, "SEED": seed, "DEFECT": defect, "SIZE": SMALL}
        return base64.b64decode(self.stack.ask(_with(_PICTURE, values)))

    def train_first(self, normals: int = 24, *, size: tuple[int, int] = SMALL) -> None:
        """Import normals, have the training worker fit on them, and let the model serve."""
        values = {"KEY": SAMPLE, "COUNT": normals, "VIEW": self.view, "SIZE": size}
        run = self.stack.ask(_with(_NORMALS, values))
        state = self.stack.wait_for(
            lambda: self.stack.ask(
                f"run = Run.objects.get(pk={run})\n"
                "answer = run.state not in ('queued', 'running') and [run.state, run.reason]"
            ),
            "the first run ends",
            timeout_s=400,
        )
        assert state[0] == "done", f"{state}\n{self.stack.logs()}"


def make_scene(stack: Stack) -> Scene:
    """Make people, places, a product and a device in an empty installation."""
    return Scene(stack, **stack.ask(_with(_PEOPLE_AND_PRODUCT, {"PASSWORD": PASSWORD})))


def _with(code: str, values: dict[str, object]) -> str:
    return "".join(f"{name} = {value!r}\n" for name, value in values.items()) + code
