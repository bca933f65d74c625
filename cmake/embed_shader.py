#!/usr/bin/env python3
"""One GLSL file in, its SPIR-V out as C words: compiled, validated, optimised, validated again,
and packed. The first word is the number of words, and behind it is what zlib makes of all their
lowest bytes, then all the next ones, and so on: a quarter of it (src/device/shader.c reads it).

    embed_shader.py --glslang G --val V --opt O --include DIR --target vulkan1.1
                    --out NAME.inc [--depfile FILE] [--variables] SOURCE.comp
                    [-- -DNAME=VALUE ...]

--variables leaves values in variables, of which drivers make SSA as it suits them: lavapipe's
kernels with many sums are 1.2 to 1.5 times as slow where spirv-opt has done so.
"""
import argparse
import array
import os
import subprocess
import sys
import tempfile
import zlib

VARIABLES = """--eliminate-dead-branches --merge-return --inline-entry-points-exhaustive
    --eliminate-dead-functions --eliminate-dead-code-aggressive --private-to-local
    --eliminate-local-single-block --eliminate-local-single-store
    --eliminate-dead-code-aggressive""".split()


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}")


def pack(spirv):
    data = zlib.compress(b"".join(spirv[plane::4] for plane in range(4)), 9)
    data += bytes(-len(data) % 4)
    return array.array("I", [len(spirv) // 4]) + array.array("I", data)


def main():
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    parser = argparse.ArgumentParser()
    for name in ("glslang", "val", "opt", "include", "target", "out"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--depfile")
    parser.add_argument("--variables", action="store_true")
    parser.add_argument("source")
    args = parser.parse_args(sys.argv[1:split])
    defines = sys.argv[split + 1:]

    with tempfile.TemporaryDirectory() as folder:
        raw, small = os.path.join(folder, "raw.spv"), os.path.join(folder, "small.spv")
        depfile = os.path.join(folder, "deps")
        target = "--target-env=" + args.target
        run(args.glslang, "-V", "--target-env", args.target, "--quiet", "--depfile", depfile,
            "-I" + args.include, *defines, "-o", raw, args.source)
        run(args.val, "--target-env", args.target, raw)
        passes = VARIABLES if args.variables else ["-O"]
        run(args.opt, *passes, "--preserve-bindings", "--preserve-spec-constants", target,
            raw, "-o", small)
        run(args.val, "--target-env", args.target, small)

        with open(small, "rb") as spirv:
            words = pack(spirv.read())
        if args.depfile:
            with open(depfile) as deps, open(args.depfile, "w") as out:
                out.write(args.out + ":" + deps.read().split(":", 1)[1])

    with open(args.out, "w") as out:
        for i in range(0, len(words), 8):
            out.write(" ".join(f"{word:#010x}," for word in words[i:i + 8]) + "\n")


main()
