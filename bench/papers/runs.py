"""What the tables' programs share: options, subcommands of tuff, means and deviations."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def options(doc):
    """A parser with what all of them take."""
    parse = argparse.ArgumentParser(description=doc,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("folder", help="of MNIST's IDX files")
    parse.add_argument("--seeds", "--runs", type=int, default=3, dest="runs", help="3")
    parse.add_argument("--device", default="cpu", help="cpu")
    parse.add_argument("--tuff", default=os.path.join(HERE, "../../build/tuff"))
    parse.add_argument("--keep", help="a folder for the models, which are used again")
    parse.add_argument("--json", action="store_true", help="print all rows as JSON")
    return parse


def tuff(args, *words):
    """Runs a subcommand and returns the JSON that it prints."""
    command = [args.tuff, *words, "--device", args.device, "--quiet", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit("failed: " + " ".join(command) + "\n" + done.stdout)
    return json.loads(done.stdout)


def data(args, seed):
    return ["--data", "idx:" + args.folder, "--seed", str(seed)]


def train(args, path, seed, *words):
    """Trains a net, unless its file is there already; its path."""
    if not os.path.exists(path):
        part = path.replace(".safetensors", ".part.safetensors")
        tuff(args, "train", *data(args, seed), *words, "--out", part)
        os.rename(part, path)
    return path


def error(test):
    """In percent, of what a subcommand prints of a net."""
    return 100 - 100 * test["accuracy"]


def spread(rows, key, digits):
    values = [row[key] for row in rows]
    deviation = statistics.stdev(values) if len(values) > 1 else 0
    return f"{statistics.mean(values):.{digits}f} ± {deviation:.{digits}f}"


def say(text):
    print(text, file=sys.stderr, flush=True)


def in_folder(args, work):
    """work(folder), where the folder is the one to keep or goes afterwards."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or scratch
        os.makedirs(folder, exist_ok=True)
        return work(folder)
