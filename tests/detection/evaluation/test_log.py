import json
import subprocess
import sys
from pathlib import Path

import pytest

from detection.evaluation import append_run, file_list_digest
from detection.protocol import DetectionError

SET_A, SET_B = "a" * 64, "b" * 64


def test_runs_on_one_set_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "state" / "log.jsonl"
    assert append_run(path, {"set_digest": SET_A, "image_auroc": 0.5}) == 1
    assert append_run(path, {"set_digest": SET_B}) == 1
    assert append_run(path, {"set_digest": SET_A, "image_auroc": None}) == 2
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["set_digest"] for line in lines] == [SET_A, SET_B, SET_A]


def test_a_half_written_line_is_closed_off(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    append_run(path, {"set_digest": SET_A})
    with path.open("a") as file:
        file.write('{"set_digest": "aaa')
    assert append_run(path, {"set_digest": SET_A}) == 2
    assert append_run(path, {"set_digest": SET_A}) == 3
    assert path.read_text().count("\n") == 4


def test_several_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    code = (
        "import sys; from pathlib import Path; from detection.evaluation import append_run\n"
        "for k in range(40): print(append_run("
        "Path(sys.argv[1]), {'set_digest': 'x', 'by': sys.argv[2], 'long': 'y' * 5000}))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), str(number)], stdout=subprocess.PIPE, text=True
        )
        for number in range(3)
    ]
    told = [int(word) for process in processes for word in process.communicate()[0].split()]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(told) == list(range(1, 121))
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 120


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DetectionError, match="--no-log"):
        append_run(tmp_path, {"set_digest": SET_A})


def test_digest_knows_names_and_sizes_and_no_order() -> None:
    first = file_list_digest([("test/good/a.png", 10), ("test/spot/b.png", 20)])
    assert first == file_list_digest([("test/spot/b.png", 20), ("test/good/a.png", 10)])
    assert first != file_list_digest([("test/good/a.png", 11), ("test/spot/b.png", 20)])
    assert first != file_list_digest([("test/good/a.png", 10), ("test/spot/c.png", 20)])
