"""What the linters of the C++ sources find."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tools import clang_tidy, compile_commands, native

GUARDED = """
#include "ops/base/mutex.h"

class Counter {
 public:
  void Increment() {
    LOCK
    ++count_;
  }

 private:
  pcr::Mutex mutex_;
  int count_ PCR_GUARDED_BY(mutex_) = 0;
};

void Use() { Counter().Increment(); }
"""


@pytest.mark.parametrize(("lock", "passes"), [("pcr::MutexLock lock(&mutex_);", True), ("", False)])
def test_lint_refuses_a_guarded_member_used_without_its_mutex(
    lock: str, passes: bool, tmp_path: Path
) -> None:
    if not Path(clang_tidy.CLANG_TIDY).exists():
        pytest.skip("clang-tidy is not installed here")
    source = tmp_path / "counter.cc"
    source.write_text(GUARDED.replace("LOCK", lock))
    command = [clang_tidy.CLANG_TIDY, "--quiet", f"--config-file={native.ROOT / '.clang-tidy'}"]
    command += [str(source), "--", *native.COMPILE_FLAGS, *compile_commands.CLANG_FLAGS]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert (done.returncode == 0) == passes, done.stdout
    assert ("clang-diagnostic-thread-safety" in done.stdout) != passes


def test_compile_commands_name_every_cpp_source_of_the_libraries_and_the_tests(
    tmp_path: Path,
) -> None:
    path = tmp_path / "compile_commands.json"
    compile_commands.write(path)
    entries = json.loads(path.read_text())
    files = [Path(entry["file"]) for entry in entries]
    sources = {*(native.ROOT / "ops").rglob("*.cc"), *(native.ROOT / "tests/cpp").glob("*_test.cc")}
    assert sorted(files) == sorted(sources)
    for entry in entries:
        assert str(Path(entry["file"]).relative_to(native.ROOT)) in entry["arguments"]
