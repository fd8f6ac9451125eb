"""Programs: what is heard of them, what they are given, and how they end."""

import sys
import tempfile
import threading
from pathlib import Path

import pytest
from helpers import linux_only

from tinct.bitstream.programs import find_program, name_file, run_program
from tinct.errors import CodecError


def test_what_a_program_says_is_heard(tmp_path: Path) -> None:
    lines = "import sys; print('a' * 100000 + 'z'); print('first\\nlast', file=sys.stderr)"
    done = run_program([sys.executable, "-c", f"{lines}; sys.exit(4)"], folder=tmp_path)
    assert done.code == 4
    assert done.errors == "first\nlast\n"
    assert done.output.endswith("az\n")
    assert len(done.output) == 1 << 16
    assert done.complaint() == done.complaint(reads_output=True) == "last"


def test_a_program_opens_files_that_have_no_name(tmp_path: Path) -> None:
    with tempfile.TemporaryFile(dir=tmp_path) as given, tempfile.TemporaryFile() as taken:
        given.write(b"pictures")
        given.flush()
        command = ["cp", name_file(given), name_file(taken)]
        assert run_program(command, files=(given, taken)).code == 0
        taken.seek(0)
        assert taken.read() == b"pictures"
    assert list(tmp_path.iterdir()) == []


@linux_only
def test_a_file_that_grows_is_a_sign_of_life() -> None:
    with tempfile.TemporaryFile() as file:
        grow = f"for n in 1 2 3 4 5 6; do sleep 0.3; echo $n >> {name_file(file)}; done"
        done = run_program(["sh", "-c", grow], files=(file,), silence_seconds=1.2)
    assert done.code == 0


def test_children_that_a_program_leaves_behind_are_ended_with_it() -> None:
    """The program has gone, its child holds the pipes; a thread receives no signals."""
    found: list[str] = []

    def hang() -> None:
        with pytest.raises(CodecError) as refused:
            run_program(["sh", "-c", "sleep 60 & echo $!"], silence_seconds=0.3)
        found.append(str(refused.value))

    thread = threading.Thread(target=hang)
    thread.start()
    thread.join(timeout=20)
    assert found == ["expected a sign of life from sh, found none for 0 s; it was ended"]


def test_what_is_no_program_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("pictures")
    assert find_program(str(tmp_path / "text")) is None
    with pytest.raises(CodecError, match=r"expected a program in .*text, found Permission denied"):
        run_program([str(tmp_path / "text")])
    assert find_program("sh") == find_program(str(find_program("sh")))
