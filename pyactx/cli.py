"""The command line: ``python -m pyactx``, also installed as ``pyactx``."""

import argparse
import json
import sys

import numpy as np

import pyactx
from pyactx import testing
from pyactx._definition import REQUIRED


def main(arguments=None):
    """Run a command and return its exit code: 0, 1 where a check fails, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="pyactx", description="Activation functions for NumPy arrays.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, about in ((list_, "the names of all activations"), (show, "what is known of one"),
                           (verify, "compare compiled with Python, and derivatives with numerical differentiation"),
                           (info, "how this installation is set up")):
        name = command.__name__.rstrip("_")
        sub = commands.add_parser(name, help=about, description=about.capitalize() + ".")
        sub.set_defaults(run=command)
        if name == "show":
            sub.add_argument("name", metavar="NAME")
        if name == "verify":
            sub.add_argument("names", metavar="NAME", nargs="*", help="by default all, plugins included")
        sub.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (pyactx.UnknownActivationError, pyactx.PluginError) as error:
        print(f"pyactx {options.command}: {error}", file=sys.stderr)
        return 2


def list_(options):
    rows = [{"name": name, "origin": pyactx.registry.origin(name)} for name in pyactx.names()]
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        for row in rows:
            print(f"{row['name']:<20} {row['origin']}")
    return 0


def finite(value):
    """Return an infinity as text, which JSON has no number for."""
    return str(value) if value in (np.inf, -np.inf) else value


def show(options):
    activation = pyactx.get(options.name)
    parameters = {name: None if default is REQUIRED else finite(default)
                  for name, default in activation.parameters.items()}
    properties = activation.properties
    about = {
        "name": activation.name,
        "aliases": list(activation.aliases),
        "kind": activation.kind,
        "parameters": parameters,
        "operations": [operation.operation for operation in activation.operations()],
        "properties": properties and {key: list(map(finite, value)) if isinstance(value, tuple) else value
                                      for key, value in properties._asdict().items()},
        "origin": pyactx.registry.origin(options.name),
    }
    if options.json:
        print(json.dumps(about, indent=2))
        return 0
    print(activation.__doc__)
    for key in ("aliases", "operations", "origin"):
        print(f"{key}: {about[key] if isinstance(about[key], str) else ', '.join(about[key]) or 'none'}")
    for key, value in (about["properties"] or {}).items():
        print(f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return 0


def verify(options):
    """Stop at the first disagreement, with exit code 1.  A plugin that cannot be loaded is one."""
    results = {}
    named = [pyactx.get(name) for name in options.names]
    failure = None
    for name in [activation.name for activation in named] or pyactx.names():
        try:
            activation = pyactx.get(name)
            differences = testing.compare_with_differences(activation)
            reference = testing.compare_with_reference(activation)
        except (AssertionError, pyactx.PluginError) as error:
            failure = str(error)
            results[name] = {"agrees": False, "failure": failure}
            break
        results[name] = {"agrees": True, "numerical_differentiation": differences,
                         "reference": max(reference.values()) if reference else None}
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        for name, result in results.items():
            if result["agrees"]:
                compared = ("no reference to compare with" if result["reference"] is None else
                            f"compiled and Python within {result['reference']:.2f} of the bound")
                print(f"{name:<20} {compared}, derivative within {result['numerical_differentiation']:.1e} of it")
    if failure:
        print(f"pyactx verify: {failure}", file=sys.stderr)
    return 1 if failure else 0


def info(options):
    if options.json:
        print(json.dumps(pyactx.show_config(mode="dicts"), indent=2))
    else:
        pyactx.show_config()
    return 0
