"""First names, and a sentence's small change: which pronoun a name takes."""

WOMEN = tuple(
    [
        "Anna",
        "Maria",
        "Nina",
        "Clara",
        "Emma",
        "Julia",
        "Laura",
        "Sofia",
        "Ruth",
        "Alice",
        "Grace",
        "Helen",
        "Irene",
        "Lucy",
        "Olga",
        "Priya",
    ]
)
MEN = tuple(
    [
        "Tom",
        "Peter",
        "Omar",
        "David",
        "Lucas",
        "Henry",
        "Victor",
        "Samuel",
        "Oscar",
        "Martin",
        "Felix",
        "George",
        "Ivan",
        "Kenji",
        "Paul",
        "Adam",
    ]
)
NAMES = tuple(sorted((*WOMEN, *MEN)))
