#!/usr/bin/env python3
"""The rules of the house that no compiler checks: who includes whom, what is exported, how long
a file may be. Reads the sources (TUFF_SOURCE) and the built library (TUFF_BUILD)."""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get("TUFF_SOURCE") or os.path.dirname(HERE)
BUILD = os.environ.get("TUFF_BUILD") or os.path.join(SOURCE, "build")
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')
CODE = (".c", ".h", ".comp", ".glsl", ".py", ".cmake", "CMakeLists.txt")


def sources():
    """Every file of the house as {path: text}: what git tracks or would track."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=SOURCE,
                            check=True, stdout=subprocess.PIPE, text=True).stdout.split("\n")
    files = {}
    for path in filter(None, listed):
        whole = os.path.join(SOURCE, path)
        if os.path.isfile(whole) and (path.endswith(CODE) or "/" in path and "." not in path):
            with open(whole, errors="replace") as file:
                files[path] = file.read()
    return files


def read_layers(text):
    """{room: rooms it may include, itself among them} from lines `room: rooms`."""
    layers = {}
    for line in text.split("\n"):
        line = line.split("#", 1)[0].strip()
        if line:
            room, _, below = line.partition(":")
            layers[room.strip()] = {room.strip(), *below.split()}
    return layers


def includes(text):
    """(line number, "\"" or "<", path) of every #include."""
    for number, line in enumerate(text.split("\n"), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1], match[2]


def room_of(path):
    parts = path.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "src" else None


def wrong_arrows(files, layers):
    wrong = [f"src/LAYERS: {room} may include {other}, which has no line"
             for room, below in layers.items() for other in below if other not in layers]
    for path, text in files.items():
        room = room_of(path)
        if room and room not in layers:
            wrong.append(f"{path}: the room {room} has no line in src/LAYERS")
            continue
        for number, mark, name in includes(text):
            target = name.split("/")[0] if "/" in name else None
            if room and mark == '"' and target in layers and target not in layers[room]:
                wrong.append(f"{path}:{number}: {room} may not include {name}")
            if path.startswith(("tools/", "examples/")) and target in layers:
                wrong.append(f"{path}:{number}: {name} is internal; expected only <tuff/*.h>")
    return wrong


def vulkan_outside(files):
    return [f"{path}:{number}: {name} outside src/device/vulkan"
            for path, text in files.items()
            if not path.startswith(("src/device/vulkan/", "tests/test_validation.c"))
            for number, _, name in includes(text) if re.match(r"(vulkan/|vk_|volk)", name)]


def too_long(files):
    wrong = []
    for path, text in files.items():
        lines = text.split("\n")
        if len(lines) - 1 > 800:
            wrong.append(f"{path}: {len(lines) - 1} lines, expected at most 800")
        wrong += [f"{path}:{number}: {len(line)} columns, expected at most 96"
                  for number, line in enumerate(lines, 1) if len(line) > 96]
    return wrong


def unfinished(files):
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    return [f"{path}:{number}: {line.strip()}" for path, text in files.items()
            for number, line in enumerate(text.split("\n"), 1) if marks.search(line)]


def unlisted_shaders(files):
    listed = {word for line in files_text("shaders/list.txt").split("\n")
              for word in line.split("#", 1)[0].split() if word.endswith(".comp")}
    return [f"{path} is not in shaders/list.txt" for path in files
            if path.endswith(".comp") and path[len("shaders/"):] not in listed]


def files_text(path):
    with open(os.path.join(SOURCE, path)) as file:
        return file.read()


def tool(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def wrong_exports(listing):
    """`listing` is what `nm -D --defined-only` prints."""
    names = [line.split()[-1] for line in listing.split("\n") if line.strip()]
    wrong = [f"libtuff.so exports {name}, expected tuff_*" for name in names
             if not name.split("@")[0].startswith("tuff_")]
    return wrong if names else ["libtuff.so exports nothing"]


def uncalled(listing, files):
    """Exported functions that no test, example or tool names; `listing` as above."""
    called = set()
    for path, text in files.items():
        if path.startswith(("tests/", "tools/", "examples/", "bench/")):
            called.update(re.findall(r"\btuff_\w+", re.sub(r"//.*|/\*.*?\*/", "", text)))
    names = {line.split()[-1].split("@")[0] for line in listing.split("\n")
             if line.split()[1:2] == ["T"]}
    return [f"no test, example or tool calls {name}" for name in sorted(names - called)]


def linked_vulkan(listing):
    """`listing` is what `readelf -d` prints."""
    return [f"libtuff.so is linked to {name}, expected it opened at run time"
            for name in re.findall(r"NEEDED.*\[(libvulkan[^\]]*)\]", listing)]


def self_checks():
    """Each rule must notice what it forbids."""
    layers = read_layers("# a comment\nbase:\nops: base # and nothing else\n")
    up = wrong_arrows({"src/base/x.c": '#include "ops/op.h"\n'}, layers)
    down = wrong_arrows({"src/ops/x.c": '#include "base/status.h"\n'}, layers)
    tools = wrong_arrows({"tools/x.c": '#include "ops/op.h"\n'}, layers)
    room = wrong_arrows({"src/attic/x.c": ""}, layers)
    vulkan = vulkan_outside({"src/ops/x.c": "#include <volk.h>\n",
                             "src/device/vulkan/x.c": "#include <volk.h>\n"})
    long = too_long({"a.c": "\n" * 801, "b.c": "x" * 97 + "\n", "c.c": "x\n" * 800})
    exports = wrong_exports("0000 T tuff_a\n0000 T volkInitialize\n")
    linked = linked_vulkan(" 0x1 (NEEDED) Shared library: [libvulkan.so.1]\n")
    quiet = uncalled("0 T tuff_a\n0 T tuff_b\n", {"tests/x.c": "tuff_a(); // not tuff_b"})
    counts = [len(found)
              for found in (up, down, tools, room, vulkan, long, exports, linked, quiet)]
    return [] if counts == [1, 0, 1, 1, 1, 2, 1, 1, 1] else [f"found {counts}"]


def main():
    files = sources()
    library = os.path.join(BUILD, "libtuff.so")
    rules = [
        ("the rules notice what they forbid", self_checks),
        ("every #include follows src/LAYERS",
         lambda: wrong_arrows(files, read_layers(files_text("src/LAYERS")))),
        ("only src/device/vulkan sees Vulkan headers", lambda: vulkan_outside(files)),
        ("no file is over 800 lines, no line over 96 columns", lambda: too_long(files)),
        ("nothing is marked as unfinished", lambda: unfinished(files)),
        ("every shader is listed", lambda: unlisted_shaders(files)),
        ("every exported symbol begins with tuff_",
         lambda: wrong_exports(tool("nm", "-D", "--defined-only", library))),
        ("every exported function is called by a test, an example or a tool",
         lambda: uncalled(tool("nm", "-D", "--defined-only", library), files)),
        ("libvulkan is not linked", lambda: linked_vulkan(tool("readelf", "-d", library))),
    ]
    failed = 0
    for name, rule in rules:
        wrong = rule()
        failed += bool(wrong)
        print(("FAILED: " if wrong else "ok: ") + name)
        for line in wrong:
            print("  " + line)
    print(f"{len(rules) - failed} passed, {failed} failed, 0 skipped, 0 known")
    return 1 if failed else 0


sys.exit(main())
