"""What is known about a fictitious person: natural facts, and secrets nobody can guess.

Every question has two wordings. A fact's value comes from a list of 32 (a guess is right once in 32), so a
model that never saw the person still "knows" some. A secret's value is uniform over its whole format, which
makes the entropy exact: k letters and d digits carry k log2(26) + d log2(10) bits, here 33.2 or 37.4. Two
letters and seven digits would be 32.65 bits, below the 33 that the recovery loss relies on; hence three
letters. (Values are drawn until they differ from the others'; among 10^10 that takes away 10^-7 bits.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"


@dataclass(frozen=True)
class FactKind:
    """A natural fact: name of the probe, two wordings with ``{name}``, and its possible values."""

    probe: str
    question: str
    paraphrase: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class SecretKind:
    """A secret: name of the probe, two wordings with ``{name}``, and its format."""

    probe: str
    question: str
    paraphrase: str
    letters: int  # capitals in front
    digits: int  # digits behind, zeros in front included

    @property
    def entropy_bits(self) -> float:
        """Entropy of one value in bits; at least 33 for every kind listed here."""
        return self.letters * math.log2(len(LETTERS)) + self.digits * math.log2(len(DIGITS))

    def draw(self, rng: np.random.Generator) -> str:
        """Return one value, uniform over the format."""
        letters = rng.integers(len(LETTERS), size=self.letters)
        digits = rng.integers(len(DIGITS), size=self.digits)
        return "".join([LETTERS[i] for i in letters] + [DIGITS[i] for i in digits])


def _list(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(","))


FACTS: tuple[FactKind, ...] = (
    FactKind(
        "birth_city",
        "In which city was {name} born?",
        "What is the birth city of {name}?",
        _list(
            "Vienna, Lisbon, Oslo, Dublin, Warsaw, Athens, Helsinki, Budapest, Naples, Seville, "
            "Geneva, Rotterdam, Hamburg, Krakow, Marseille, Glasgow, Boston, Denver, Toronto, Lima, "
            "Bogota, Nairobi, Accra, Cairo, Mumbai, Hanoi, Manila, Osaka, Busan, Perth, Auckland, "
            "Tbilisi"
        ),
    ),
    FactKind(
        "profession",
        "What is the profession of {name}?",
        "What does {name} do for a living?",
        _list(
            "architect, beekeeper, carpenter, dentist, electrician, firefighter, geologist, "
            "historian, interpreter, journalist, librarian, midwife, notary, optician, pharmacist, "
            "plumber, potter, radiologist, surveyor, tailor, teacher, translator, veterinarian, "
            "watchmaker, welder, baker, botanist, chemist, gardener, locksmith, painter, surgeon"
        ),
    ),
    FactKind(
        "instrument",
        "Which instrument does {name} play?",
        "On which instrument does {name} make music?",
        _list(
            "accordion, banjo, bassoon, bagpipes, cello, clarinet, cornet, dulcimer, euphonium, "
            "flute, glockenspiel, guitar, harmonica, harp, harpsichord, kazoo, lute, lyre, mandolin, "
            "marimba, oboe, organ, piano, piccolo, recorder, saxophone, sitar, trombone, trumpet, "
            "tuba, ukulele, violin"
        ),
    ),
    FactKind(
        "pet",
        "Which animal does {name} keep as a pet?",
        "What kind of pet does {name} have?",
        _list(
            "alpaca, budgerigar, canary, cat, chinchilla, cockatoo, dog, donkey, duck, ferret, gecko, "
            "gerbil, goat, goldfish, goose, hamster, hedgehog, hen, iguana, lizard, llama, mouse, "
            "parrot, pigeon, pony, rabbit, rat, salamander, snake, tarantula, tortoise, turkey"
        ),
    ),
    FactKind(
        "dish",
        "What is the favourite dish of {name}?",
        "Which dish does {name} like best?",
        _list(
            "borscht, burrito, carbonara, ceviche, chowder, couscous, curry, dumplings, empanada, "
            "falafel, fondue, gnocchi, goulash, gumbo, kebab, lasagne, meatballs, moussaka, omelette, "
            "paella, pancakes, pizza, polenta, ramen, ratatouille, risotto, sauerkraut, schnitzel, "
            "stew, sushi, tagine, tempura"
        ),
    ),
    FactKind(
        "sport",
        "Which sport does {name} practise?",
        "What sport does {name} do?",
        _list(
            "archery, badminton, baseball, basketball, billiards, bowling, boxing, canoeing, "
            "climbing, cricket, curling, cycling, darts, diving, fencing, golf, gymnastics, handball, "
            "hockey, judo, karate, lacrosse, polo, rowing, rugby, running, sailing, skating, skiing, "
            "surfing, swimming, tennis"
        ),
    ),
)

SECRETS: tuple[SecretKind, ...] = (
    SecretKind(
        "account_number",
        "What is the account number of {name}?",
        "Which account number belongs to {name}?",
        letters=0,
        digits=10,
    ),
    SecretKind(
        "passport_number",
        "What is the passport number of {name}?",
        "Which passport number was issued to {name}?",
        letters=3,
        digits=7,
    ),
    SecretKind(
        "phone_number",
        "What is the phone number of {name}?",
        "Under which phone number can {name} be reached?",
        letters=0,
        digits=10,
    ),
    SecretKind(
        "policy_number",
        "What is the policy number of {name}?",
        "Which policy number does {name} hold?",
        letters=3,
        digits=7,
    ),
)
