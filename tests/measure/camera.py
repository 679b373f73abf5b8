"""A camera of the measurements: full-size pictures made beforehand, sent over one connection."""

import http.client
import json
import secrets
from dataclasses import dataclass, field

from detection.samples import PRODUCTS, encode_image, make_part
from tests.scene import SAMPLE

SIZE = (640, 512)  # width, height of the filter cloth's camera
TIMEOUT_S = 60.0


def make_pictures(count: int, *, first_seed: int, defect: str | None = None) -> list[bytes]:
    """Return JPEGs of different parts, as a camera would send them."""
    product = PRODUCTS[SAMPLE]
    seeds = range(first_seed, first_seed + count)
    parts = (make_part(product, seed=n, defect=defect, lot=f"L{n % 3}") for n in seeds)
    return [encode_image(next(iter(part.images.values()))) for part in parts]


@dataclass
class Camera:
    """Sends pictures to one view. For one thread: the connection is kept between pictures."""

    port: int
    token: str
    fields: dict[str, str]
    _connection: http.client.HTTPConnection = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)

    def send(self, picture: bytes, serial: str) -> str:
        """Send one picture; return nothing when it was taken in as new, else what was answered."""
        kind, body = _form({**self.fields, "serial": serial}, f"{serial}.jpg", picture)
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": kind,
            "Idempotency-Key": serial,
        }
        try:
            self._connection.request("POST", "/api/v1/images", body, headers)
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # the next request opens a fresh one
            return f"{type(error).__name__}: {error}"
        if response.status == 201 and json.loads(answer)["part"]["serial"] == serial:
            return ""
        return f"{response.status}: {answer.decode(errors='replace')[:200]}"

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def _form(fields: dict[str, str], name: str, picture: bytes) -> tuple[str, bytes]:
    """Return content type and body of a multipart form."""
    border = secrets.token_hex(16)
    lines = [
        f'--{border}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in fields.items()
    ]
    lines.append(
        f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = "".join(lines).encode() + picture + f"\r\n--{border}--\r\n".encode()
    return f"multipart/form-data; boundary={border}", body
