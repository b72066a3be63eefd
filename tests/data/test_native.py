"""Which build of the CPU kernels is taken."""

import shutil
from pathlib import Path

import pytest

from nco.data import native
from nco.data.errors import InputError
from nco.data.kernel_build import VARIANTS
from tests.kernels import BUILDS

choose = native.kernels.__wrapped__


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    if not BUILDS:
        pytest.skip("none are built")
    monkeypatch.delenv("NCO_KERNELS", raising=False)


@pytest.mark.usefixtures("built")
def test_the_best_build_is_taken_or_the_one_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the order of the table; ``off`` is plain PyTorch."""
    assert choose().variant == BUILDS[0] == next(n for n in VARIANTS if n in BUILDS)
    for name in BUILDS:
        monkeypatch.setenv("NCO_KERNELS", name)
        found = choose()
        assert found.variant == name and found.library is native.load(name)
        assert f"NCO_KERNELS {name}" in found.reason
    monkeypatch.setenv("NCO_KERNELS", "off")
    assert choose().library is None


@pytest.mark.parametrize("name", ["0", "", "avx", "AVX2"])
def test_other_names_are_errors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which names there are."""
    monkeypatch.setenv("NCO_KERNELS", name)
    with pytest.raises(InputError, match=f"NCO_KERNELS: '{name}', expected off, portable, "):
        choose()


@pytest.mark.usefixtures("built")
def test_a_build_that_the_processor_cannot_run_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is never loaded, and neither is one that is not there."""
    shutil.copytree(native.FOLDER, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(native, "FOLDER", tmp_path)
    foreign = "neon" if "avx2" in BUILDS else "avx2"
    monkeypatch.setenv("NCO_KERNELS", foreign)
    with pytest.raises(InputError, match="it is not built"):
        choose()
    shutil.copy(tmp_path / f"portable{native.SUFFIX}", tmp_path / f"{foreign}{native.SUFFIX}")
    with pytest.raises(InputError, match="the processor cannot run it"):
        choose()
    monkeypatch.delenv("NCO_KERNELS")
    assert choose().variant == BUILDS[0]


@pytest.mark.usefixtures("built")
def test_a_build_that_is_older_than_its_sources_is_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Plain PyTorch computes, and a warning says how to build."""
    monkeypatch.setattr(native, "digest", lambda _: "f" * 16)
    with pytest.warns(UserWarning, match="older than their sources"):
        found = choose()
    assert found.library is None and "older than their sources" in found.reason


def test_without_builds_plain_pytorch_computes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As after an installation without a compiler; a damaged file is the same as none."""
    monkeypatch.delenv("NCO_KERNELS", raising=False)
    monkeypatch.setattr(native, "FOLDER", tmp_path)
    assert choose().library is None
    monkeypatch.setattr(native, "stale", lambda: False)
    native.load.cache_clear()
    for name in ("portable", "avx2"):
        (tmp_path / f"{name}{native.SUFFIX}").write_bytes(b"\x7fELF and no more")
    assert choose().library is None
    native.load.cache_clear()
