"""Mutations that know the structure of a file: numbers, lines, trees, arrays and instructions."""

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import yaml

NUMBERS = [
    *(
        "0",
        "-1",
        "-0",
        "1",
        "0.1",
        "1.5",
        "1e308",
        "-1e308",
        "1e-320",
        "1e999",
        "nan",
        "inf",
        "-inf",
    ),
    *("127", "32768", "65536", "2147483647", "2147483648", "9007199254740993"),
    *(
        "9223372036854775807",
        "9223372036854775808",
        "1" * 40,
        "1" * 5000,
        "16777217",
        "-2147483648",
    ),
    *("1_000", "0x10", "007", "+5", "", "\u0663", "\u00bd", "1e5", "1,5", ".5", "5.", "--1", "1 2"),
]
WORDS = [
    *(
        "DIMENSION : 7",
        "TYPE : TSP",
        "TYPE : CVRPTW",
        "CAPACITY : 0",
        "EDGE_WEIGHT_TYPE : EXPLICIT",
    ),
    *("EDGE_WEIGHT_TYPE : GEO", "EDGE_WEIGHT_FORMAT : FULL_MATRIX", "DEMAND_SECTION", "EOF", "-1"),
    *("NODE_COORD_SECTION", "TIME_WINDOW_SECTION", "DEPOT_SECTION", "VEHICLES : 2147483647"),
    *("EDGE_WEIGHT_SECTION", "Route #1: 1 2", "Cost nan", "# capacity: inf", "x,y,demand", ",,,,,"),
    *('"', "'", "[[[[", "\ufeff", "\x1b[31m", "\u2028", "\r", "\t" * 50, "\ud7ff", ":", " : ", "%"),
]
VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        -1,
        0,
        1,
        1.5,
        -0.0,
        1e308,
        -1e308,
        1e-320,
        2**31,
        2**53 + 1,
        2**63,
        10**40,
    ),
    *("", "x", "inf", "nan", "1", [], {}, [[]], [0], [1, 2], [None], {"a": 1}, float("nan")),
    *(float("inf"), -float("inf"), 65536, 10**6, [[0.5, 0.5]] * 3, "cvrp", "nco.envs.problem"),
    *({"class_path": "os.system", "init_args": {}}, "nco.policies.AttentionPolicy", ["a"] * 50),
]
DTYPES = ["<f2", "<f4", "<f8", ">f8", "i1", "<i8", "u1", "<u8", "?", "<c16", "<U5", "S3", "<M8[s]"]


def _place(rng: Random, count: int) -> int:
    return rng.randrange(max(1, count))


def text(content: bytes, rng: Random, others: list[bytes]) -> bytes:
    """One change of numbers, words or lines."""
    lines = content.decode("latin-1").splitlines(keepends=True) or [""]
    kind = rng.randrange(9)
    a, b = _place(rng, len(lines)), _place(rng, len(lines))
    if kind <= 2:  # numbers
        found = list(re.finditer(r"-?\d+(\.\d+)?([eE][-+]?\d+)?", lines[a]))
        if found:
            at = rng.choice(found)
            lines[a] = lines[a][: at.start()] + rng.choice(NUMBERS) + lines[a][at.end() :]
    elif kind == 3:
        del lines[a : a + rng.choice((1, 1, 2, 10))]
    elif kind == 4:
        lines[b:b] = lines[a : a + rng.choice((1, 1, 2, 10))]
    elif kind == 5:
        lines[a], lines[b] = lines[b], lines[a]
    elif kind == 6:
        lines.insert(a, rng.choice(WORDS) + "\n")
    elif kind == 7:  # a word
        words = lines[a].split(" ")
        words[_place(rng, len(words))] = rng.choice([*WORDS, *NUMBERS])
        lines[a] = " ".join(words)
    else:  # lines of another file
        foreign = rng.choice(others).decode("latin-1").splitlines(keepends=True) or [""]
        begin = _place(rng, len(foreign))
        lines[a:a] = foreign[begin : begin + rng.choice((1, 3, 20))]
    return "".join(lines).encode("utf-8", "surrogatepass")


def raw(content: bytes, rng: Random, others: list[bytes]) -> bytes:
    """One change of bytes."""
    a, n = _place(rng, len(content) + 1), rng.choice((1, 1, 2, 4, 8, 64))
    kind = rng.randrange(6)
    if kind == 0:
        return content[:a] + content[a + n :]
    if kind == 1:
        return content[:a] + rng.randbytes(n) + content[a:]
    if kind == 2:
        return content[:a] + rng.randbytes(n) + content[a + n :]
    if kind == 3:
        return content[:a]
    if kind == 4:
        return content[:a] + rng.choice((b"\0", b"\xff", b"\x7f")) * n + content[a + n :]
    b = _place(rng, len(content))
    return content[:a] + content[b : b + n] + content[a:]


def tree(value: Any, rng: Random) -> Any:
    """One change somewhere in nested lists and dictionaries; what is not changed is shared."""
    inside = isinstance(value, dict | list | tuple) and len(value) and rng.random() < 0.85
    if not inside:
        return _leaf(value, rng)
    if isinstance(value, dict):
        key = rng.choice(list(value))
        kind = rng.randrange(12)
        if kind == 0:
            return {k: v for k, v in value.items() if k != key}
        if kind == 1:
            return value | {
                rng.choice(["x", "locs", "demand", "class_path", 1]): rng.choice(VALUES)
            }
        if kind == 2:
            return {(rng.choice(list(value)) if k == key else k): v for k, v in value.items()}
        return value | {key: tree(value[key], rng)}
    at, kind = _place(rng, len(value)), rng.randrange(14)
    items = list(value)
    if kind == 0:
        del items[at]
    elif kind == 1:
        items[at:at] = [items[at]] * rng.choice((1, 2, 50))
    elif kind == 2:
        rng.shuffle(items)
    elif kind == 3:
        items.append(rng.choice(VALUES))
    else:
        items[at] = tree(items[at], rng)
    return type(value)(items)


def _leaf(value: Any, rng: Random) -> Any:
    kind = rng.randrange(6)
    if kind == 0 and isinstance(value, int | float):
        return value * rng.choice((-1, 1e9, 1e-9, 10**12))
    if kind == 1:
        deep = value
        for _ in range(rng.choice((1, 3, 60))):
            deep = [deep]
        return deep
    if kind == 2 and isinstance(value, np.ndarray):
        return array(value, rng)
    return rng.choice(VALUES)


def array(value: np.ndarray, rng: Random) -> np.ndarray:
    """One change of an array's values, shape or dtype."""
    kind = rng.randrange(8)
    value = np.atleast_1d(value)
    with np.errstate(all="ignore"):
        if kind == 0:
            return value.reshape(-1)
        if kind == 1:
            return value.T
        if kind == 2:
            return value[rng.choice((slice(0), slice(1), slice(None, None, 2), None))]
        if kind == 3:
            try:
                return value.astype(rng.choice(DTYPES))
            except (TypeError, ValueError):
                return value
        if kind == 4:
            return np.concatenate([value.reshape(-1)] * 2)
        changed = value.copy()
        if changed.size and changed.dtype.kind in "iuf":
            numbers = (0, -1, 1, 1e9, 1e300, float("nan"), float("inf"), 2**31, 65535)
            flat = changed.reshape(-1)
            number = rng.choice(numbers)
            if changed.dtype.kind == "f" or (np.isfinite(number) and abs(number) < 2**31):
                flat[_place(rng, len(flat))] = np.array(number).astype(changed.dtype)
        return changed


def json_text(content: bytes, rng: Random, others: list[bytes]) -> bytes:
    """One change of the tree in a JSON text."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return text(content, rng, others)
    return json.dumps(tree(value, rng)).encode()


def yaml_text(content: bytes, rng: Random, others: list[bytes]) -> bytes:
    """One change of the tree in a YAML text."""
    try:
        value = yaml.safe_load(content)
        return yaml.safe_dump(tree(value, rng), sort_keys=False).encode()
    except (ValueError, yaml.YAMLError, RecursionError):
        return text(content, rng, others)


def pickled(content: bytes, rng: Random, others: list[bytes]) -> bytes:
    """One change of the tree in a pickle, or of its instructions."""
    if rng.random() < 0.5:
        op = bytes([rng.randrange(256)]) if rng.random() < 0.5 else rng.choice(INSTRUCTIONS)
        a = _place(rng, len(content))
        return content[:a] + op + content[a + rng.choice((0, 1, len(op))) :]
    try:
        value = pickle.loads(content)  # of the suite's own making
    except Exception:  # a mutation of it is not
        return raw(content, rng, others)
    return pickle.dumps(tree(value, rng), rng.randrange(6))


INSTRUCTIONS = [
    *(
        b"2",
        b"0",
        b"(",
        b"t",
        b"l",
        b"]",
        b"}",
        b"s",
        b"u",
        b"e",
        b"R",
        b"b",
        b"\x81",
        b"\x94",
        b"h\0",
    ),
    *(b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cnumpy._core.multiarray\n_reconstruct\n", b"q\1"),
    *(b"cnumpy._core.multiarray\nscalar\n", b"cbuiltins\nset\n", b"I1000000000\n", b"r\0\0\0\x20"),
    *(b"ccollections\nOrderedDict\n", b"X\xff\xff\xff\xff", b"\x8e" + b"\xff" * 8, b"K\xff", b"N"),
]


def npz(content: bytes, rng: Random, others: list[bytes]) -> bytes:
    """One change of the arrays of an archive, of a header, or of how it is packed."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except Exception:  # a mutation of an archive may be none
        return raw(content, rng, others)
    if not arrays:
        return raw(content, rng, others)
    name, kind = rng.choice(list(arrays)), rng.randrange(8)
    if kind == 0:
        del arrays[name]
    elif kind == 1:
        arrays[rng.choice(["x", "locs", "demand", "distance", "cost"])] = arrays.pop(name)
    elif kind == 2:
        return _header(content, rng)
    else:
        arrays[name] = array(arrays[name], rng)
    out = io.BytesIO()
    (np.savez if rng.random() < 0.5 else np.savez_compressed)(out, allow_pickle=False, **arrays)
    return out.getvalue()


def _header(content: bytes, rng: Random) -> bytes:
    """An archive one of whose arrays claims another shape, dtype or order."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        victim = rng.choice(old.namelist())
        packing = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
        with zipfile.ZipFile(out, "w", packing) as new:
            for name in old.namelist():
                held = old.read(name)
                if name == victim:
                    shape = rng.choice((b"(999999999999,)", b"()", b"(-1,)", b"(0,)", b"(2,2**9,)"))
                    order = rng.choice((b"True", b"False", b"1", b"None"))
                    held = re.sub(rb"\([\d, ]*\)", shape, held, count=rng.randrange(2))
                    held = held.replace(b"False", order, 1)
                    kind = rng.choice((b"'|O'", b"'<f8'", b"'<f2'", b"'|V8'", b"'<U9'"))
                    held = re.sub(rb"'[<|>][a-zA-Z]\d+'", kind, held, count=rng.randrange(2))
                new.writestr(name, held)
    return out.getvalue()


Mutation = Callable[[bytes, Random, list[bytes]], bytes]
BY_SUFFIX: dict[str, tuple[Mutation, ...]] = {
    ".json": (json_text, json_text, json_text, text, raw),
    ".yaml": (yaml_text, yaml_text, yaml_text, text, raw),
    ".pkl": (pickled, pickled, raw),
    ".npz": (npz, npz, npz, raw),
    ".safetensors": (raw, raw, text),
    ".ckpt": (raw,),
    ".pt": (raw,),
}
TEXT: tuple[Mutation, ...] = (text, text, text, text, raw)


def mutated(content: bytes, suffix: str, rng: Random, others: list[bytes]) -> bytes:
    """A content after one to four changes; ``others`` are contents of the same suffix."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = rng.choice(BY_SUFFIX.get(suffix, TEXT))(content, rng, others)
    return content
