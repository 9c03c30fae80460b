"""Reads settings from files, in layers."""

import functools
import os
from pathlib import Path

DEFAULT_NAME = "settings.ini"
SEARCH: list[str] = ["/etc", os.path.expanduser("~")]


class SettingsError(Exception):
    """A settings file that cannot be used."""


def memoize(function):
    cache = {}

    @functools.wraps(function)
    def wrapper(*args):
        if args not in cache:
            cache[args] = function(*args)
        return cache[args]

    return wrapper


class Layer:
    """One file's settings."""

    separator = "="

    def __init__(self, path):
        self.path = Path(path)
        self.values = dict(self._lines())

    def _lines(self):
        """Yields the pairs of the file."""
        with open(self.path) as file:
            for line in file:
                if line.strip():
                    yield self.split(line)

    @staticmethod
    def split(line):
        name, found, value = line.partition(Layer.separator)
        if not found:
            raise SettingsError(f"no value: {line.rstrip()}")
        return name.strip(), value.strip()

    @property
    def name(self):
        return self.path.name


class Stack(Layer):
    def __init__(self, layers):
        super().__init__(layers[0])
        self.layers = sorted(layers, key=lambda layer: len(str(layer)))

    async def reload(self):
        return [await load(layer) for layer in self.layers]


@memoize
def find(name=DEFAULT_NAME):
    for folder in SEARCH:
        if os.path.exists(os.path.join(folder, name)):
            return Layer(os.path.join(folder, name))
    return None


async def load(path):
    return Layer(path)


if __name__ == "__main__":
    print(find())
