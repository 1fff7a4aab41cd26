"""Something composed as a flag: its name, beside which its settings have flags of their own."""

from typing import Annotated

import tyro

from l2o.composition import Composed

ByName = Annotated[
    Composed,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="NAME",
        instance_from_str=lambda words: Composed(words[0]),
        is_instance=lambda value: isinstance(value, Composed),
        str_from_instance=lambda composed: [composed.name],
    ),
]
