"""GPUs by name: memory, and what they compute in."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch

from frtune.environment import hardware
from frtune.environment.precision import Choice, Device, choose_precision, gpu
from frtune.errors import InputError, nearest
from frtune.models.family import Family


@dataclass(frozen=True)
class Card:
    """A GPU's figures, as NVIDIA publishes them.

    Attributes:
        name: As it is called.
        memory: Bytes; a GB has 10^9, so that a little less is planned than is there.
        capability: Compute capability.
    """

    name: str
    memory: int
    capability: tuple[int, int]

    @property
    def device(self) -> Device:
        """What it computes in."""
        return gpu(self.name, self.capability)


def _cards(text: str) -> dict[str, Card]:
    found = {}
    for line in text.strip().splitlines():
        figure, names = line.split(maxsplit=1)
        major, minor = map(int, figure.split("."))
        for item in names.split(", "):
            name, _, size = item.rpartition(" ")
            found[_key(name)] = Card(name, int(size) * 10**9, (major, minor))
    return found


def _key(name: str) -> str:
    """A name without case, blanks, dashes, and the words that people leave out."""
    plain = re.sub(r"[\s_-]+", "", name.lower())
    return re.sub(r"nvidia|geforce|tesla|quadro|rtx|gtx|sxm\d|pcie|hbm\de?|(?<=\d)gb", "", plain)


# compute capability, then names with GB
CARDS = _cards("""
6.0 P100 16, P100-12GB 12
6.1 P4 8, P40 24, GTX 1060 6, GTX 1070 8, GTX 1080 8, GTX 1080 Ti 11
7.0 V100 16, V100-16GB 16, V100-32GB 32, Titan V 12
7.5 T4 16, GTX 1650 4, GTX 1650 Super 4, GTX 1650 Ti 4, GTX 1660 6, GTX 1660 Super 6
7.5 GTX 1660 Ti 6, RTX 2060 6, RTX 2060 Super 8, RTX 2070 8, RTX 2070 Super 8, RTX 2080 8
7.5 RTX 2080 Super 8, RTX 2080 Ti 11, Titan RTX 24, Quadro RTX 8000 48
8.0 A100 40, A100-40GB 40, A100-80GB 80, A30 24
8.6 A2 16, A10 24, A10G 24, A16 16, A40 48, RTX A4000 16, RTX A5000 24, RTX A6000 48
8.6 RTX 3050 8, RTX 3060 12, RTX 3060 Ti 8, RTX 3070 8, RTX 3070 Ti 8, RTX 3080 10
8.6 RTX 3080 Ti 12, RTX 3090 24, RTX 3090 Ti 24
8.9 L4 24, L40 48, L40S 48, RTX 4060 8, RTX 4060 Ti 8, RTX 4070 12, RTX 4070 Ti 12
8.9 RTX 4080 16, RTX 4090 24, RTX 6000 Ada 48
9.0 H100 80, H100-80GB 80, H200 141, GH200 96
10.0 B200 180
12.0 RTX 5070 12, RTX 5080 16, RTX 5090 32
""")


def card(name: str) -> Card:
    """Find a GPU by its name.

    Raises:
        InputError: If there is no figure for it.

    Example:
        >>> card("GTX 1650 Ti").memory, card("a100-80gb").capability, card("NVIDIA T4").name
        (4000000000, (8, 0), 'T4')
    """
    found = CARDS.get(_key(name))
    if found is None:
        names = [each.name for each in CARDS.values()]
        hint = (
            nearest(name.lower(), [each.lower() for each in names])
            or f" Known: {', '.join(names)}."
        )
        raise InputError(
            f"gpu={name!r}: no figures of it. Pass --gpu-memory and --precision instead.{hint}"
        )
    return found


def card_present() -> Card | None:
    """The first GPU of this machine; ``None`` without one."""
    memory = hardware.gpu_memory()
    if memory is None:
        return None
    name = torch.cuda.get_device_name(0)
    return Card(name, memory, torch.cuda.get_device_capability(0))


def card_meant(memory: int | None, precision: str | None) -> Card | None:
    """The card that is present, unless what is asked for says that another one is meant.

    Args:
        memory: Bytes of each GPU; ``None`` where nothing was asked. More than the card has is
            another card's.
        precision: What is trained in. Where both are given, no card is needed to know them.
    """
    if memory is not None and precision is not None:
        return None
    found = card_present()
    fits = found is None or memory is None or memory <= found.memory
    return found if fits else None


def planned_precision(found: Card | None, family: Family, asked: str | None) -> Choice:
    """What a run on a card computes in; without a card, bf16.

    Raises:
        InputError: If the card only emulates what is asked for, or the family overflows in it.
    """
    device = found.device if found is not None else gpu("a GPU with bf16", (8, 0))
    flags: dict[str, bool] = {}
    if asked is not None:
        flags = {"bf16": asked == "bf16", "fp16": asked == "fp16"}
    return choose_precision(device, bears_fp16=family.fp16, **flags)
