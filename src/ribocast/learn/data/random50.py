"""The published random library: its files, the table to train on, and the tables that the homework had.

Sample et al., Nature Biotechnology 37, 803–809 (2019): the 280,000 random 50-nt UTRs before eGFP with the most reads,
in the order of their reads. The first 20,000 are the published test half.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import InputError
from ribocast.io.output_paths import OutputPaths
from ribocast.io.tables import read_table
from ribocast.io.writers import make_folder, open_table
from ribocast.learn.data.download import fetch, read_checked
from ribocast.sequence.letters import Fault

if TYPE_CHECKING:
    import pandas as pd

NAME = "egfp_random50"
LENGTH = 50
_LETTERS = np.frombuffer(b"ACGT", "S1")


@dataclass(frozen=True)
class Library:
    """A library as it is published: pairs of files, ``…-x-N.npy`` with letters and ``…-y-N.npy`` with MRLs.

    Attributes
    ----------
    url : str
        Where the files are.
    files : mapping of str to str
        Names and SHA-256, x and y of one number side by side. x is int32 of shape (rows, 50), 0 to 3 for A, C, G, T;
        y is float32, (rows,) or (rows, 1), in ribosomes per mRNA.
    test_rows : int
        So many of the first rows are the test half.
    """

    url: str
    files: Mapping[str, str]
    test_rows: int


@dataclass(frozen=True)
class Half:
    """A half of the published split, as the homework standardised it.

    Attributes
    ----------
    name : {"train", "test"}
        As in the column ``published_split``.
    rows : int
        Published rows.
    mean, sd : float
        Mean and population standard deviation of their MRLs, in ribosomes per mRNA.
    """

    name: Literal["train", "test"]
    rows: int
    mean: float
    sd: float


# The training half's: the line through the ten labels that the homework prints, to six digits, and their measured MRLs;
# of all 260,000 rows, as published, they are 6.5328 and 1.5774. The test half's: of its 20,000 rows, as published.
HALVES = (Half("train", 260_000, 6.5328073, 1.5773525), Half("test", 20_000, 5.7150, 1.8438))

RANDOM50 = Library(
    # The data of BootGen (Apache-2.0), which took them from Design-Bench.
    "https://raw.githubusercontent.com/kaist-silab/bootgen/2cbe5eeb1502e3e04bb410789bc3b25572ebe119/design_bench_data/utr",
    {
        "utr-x-0.npy": "220fd91fe3b2cb484551ad64e778038e753bdd235ae473ea7b975cc3f2efed41",
        "utr-y-0.npy": "b9390e77e2ad41182c89132702679fbbb7f305bc7d76410123dafc19eaa3e139",
        "utr-x-1.npy": "b6c6aa7223443f2aaa1a6aeaa9c6ce019f0aa4d05dae1986eb2abb7fa2d2cb18",
        "utr-y-1.npy": "272bd135ca37be4417d6806968d624597302d61760e0c6a5d052718eac299e26",
        "utr-x-2.npy": "d5768ea071eba8f5c3dcbb064d915a23f09121fa6fab9abca8b44747fff5b67a",
        "utr-y-2.npy": "46542fe3ff989e007bb9285f9ccd77884019dc6503f174df4cb19f56e1cb718d",
        "utr-x-3.npy": "e3e8f9845bf69bc72aa116ea92c0bfc656d87f179a1363ff19a3559743349088",
        "utr-y-3.npy": "1cd7d15b77f090d92dd3afae4d7b154b3d3dbd82274de2e8985d1c2c01502144",
        "utr-x-4.npy": "97e8dd04aa6c7d826888acb17709c3dc6902839a35f7ca494f66f7b512b6f5a6",
        "utr-y-4.npy": "ee292f27319ce16f70419362300923fb0bec48bc9158924039679c7e182ac6c7",
        "utr-x-5.npy": "592fdcc9d0d864aa0720e68780775cee32665258941301bd6a857c26a4d06949",
        "utr-y-5.npy": "6b21c152733d4c3de4d3a7c8f38e477690df76675cd983d07319c02db26a8062",
        "utr-x-6.npy": "2a2619849bef01e162ca2ce5bf7823c42b9e1bbef0582233ced2e48c1372e774",
        "utr-y-6.npy": "879ab8e7323e8f8800a196a22a575797e9c43815175fe5fc82d59b301af38723",
        "utr-x-7.npy": "61424afbc2822e15ca5dacb70a81f3ec62dd92dfd63ad2ed7cb1c5162a17c82e",
        "utr-y-7.npy": "61f08e694f41deab9853d7b355938b4934ab9f40eb47e6418010add9baba9ed2",
        "utr-x-8.npy": "b69086e8655c9de8c3dec842fafc99a6921206d25a803e399c12ba841b458042",
        "utr-y-8.npy": "48b29c629383da100b29b62f3bd7fa2ed0b5c527460477ba5b1e6efb6ae7ac5f",
        "utr-x-9.npy": "7c38aa19ecb7ce37d6c89ff9b249aba5006f7a7e85028201d820b523019ebf6d",
        "utr-y-9.npy": "3eb5d01585e8bc2fc82a5e5eba1aad5c396741fee234630ef6dcb4095270e84d",
        "utr-x-10.npy": "1a8222cb595af2d03052192d3d36d804c0f50a286fcdbe7e5ad4da87a2c062d9",
        "utr-y-10.npy": "94e21b8f6a79462302a137cc8ed8548b6c8ab61762bb7041176c36f20615be3e",
        "utr-x-11.npy": "990887489c9b7a63cbfc73f6da8eac3ccde8c901aa7d9918ae16ce9a9e4ffd6d",
        "utr-y-11.npy": "c45d4803af547945147a7c04597263dfabf45dbfb1b349feec2091f13eeb345f",
        "utr-x-12.npy": "0975fc76e91f9a8b271a6b036af94828870cb4febcdc39ed64f84e7c8b7d2f9f",
        "utr-y-12.npy": "562d47c3b3aa93b24083afa85b6640e07c53d5807c262690301905539745df98",
        "utr-x-13.npy": "8bb80d51ebb70df525689c24d595924d38e51b2b5173255953bdd4a44557667e",
        "utr-y-13.npy": "df9e28e5525c5080c382b939b33bdd0c4d5d751fbda56dc11f777330cdac8734",
    },
    20_000,
)


def fetch_library(
    folder: str | Path,
    library: Library = RANDOM50,
    *,
    watch: Callable[[int, int, str], None] | None = None,
    say: Callable[[str], None] | None = None,
    **options: Any,
) -> dict[str, Literal["cached", "downloaded"]]:
    """Download a library's files into a folder; those that are there and whole are not downloaded again.

    Parameters
    ----------
    folder : str or Path
        It is made if it is not there.
    library : Library
        Which files, and from where.
    watch : callable, optional
        Told the files that are there, those there will be, and the name of the next.
    say : callable, optional
        Told, in a line, what the user should know.
    **options
        Of `ribocast.learn.data.download.fetch`.

    Returns
    -------
    dict of str to str
        What became of each file.

    Raises
    ------
    RibocastError
        At the first file that cannot be had; those before it stay.
    """
    done: dict[str, Literal["cached", "downloaded"]] = {}
    for name, sha256 in library.files.items():
        if watch:
            watch(len(done), len(library.files), name)
        url = f"{library.url.rstrip('/')}/{name}"
        done[name] = fetch(url, Path(folder) / name, sha256, say=say, **options)
    return done


def read_library(folder: str | Path, library: Library = RANDOM50) -> pd.DataFrame:
    """Read a fetched library.

    Returns
    -------
    pandas.DataFrame
        ``seq``, ``mrl``, ``origin``, ``published_split`` and ``rank_by_reads`` (1: the sequence with the most reads).

    Raises
    ------
    RibocastError
        If a file is not there, is not the published one, or holds something else.
    """
    import pandas as pd

    names, utrs, mrls = list(library.files), [], []
    for x_name, y_name in zip(names[::2], names[1::2], strict=True):
        letters, mrl = (_array(Path(folder) / name, library.files[name]) for name in (x_name, y_name))
        if letters.dtype != np.int32 or letters.shape[1:] != (LENGTH,) or not np.isin(letters, range(4)).all():
            raise InputError(f"{x_name}: {_say(letters)}; expected int32 of shape (rows, {LENGTH}), from 0 to 3")
        rows = len(letters)
        if mrl.dtype != np.float32 or mrl.shape not in ((rows,), (rows, 1)) or not np.isfinite(mrl).all():
            raise InputError(f"{y_name}: {_say(mrl)}; expected float32, one finite MRL for each row of {x_name}")
        utrs += _LETTERS[letters].view(f"S{LENGTH}").ravel().astype(str).tolist()
        mrls.append(mrl.ravel())
    rank = np.arange(1, len(utrs) + 1)
    split = np.where(rank <= library.test_rows, "test", "train")
    columns = {"seq": utrs, "mrl": np.concatenate(mrls), "origin": "random", "published_split": split}
    return pd.DataFrame(columns | {"rank_by_reads": rank})


def prepare(folder: str | Path, output: str | Path, library: Library = RANDOM50) -> pd.DataFrame:
    """Write a fetched library as ``egfp_random50.csv.gz``, whole or not at all; return its rows.

    Parameters
    ----------
    folder : str or Path
        Where the fetched files are.
    output : str or Path
        The folder for the table; it is made if it does not exist.
    library : Library
        Which files.

    Raises
    ------
    RibocastError
        See `read_library`; or if the table cannot be written.
    """
    rows = read_library(folder, library)
    make_folder(output)
    with open_table(Path(output) / f"{NAME}.csv.gz") as sink:
        sink.write(rows)
    return rows


def homework(source: str | Path, output: str | Path, library: Library = RANDOM50) -> dict[str, int]:
    """Write the tables that the homework had, and beside them the same rows on one scale.

    ``train.csv`` and ``test.csv`` have the columns ``seq,label``. Each half is standardised by itself, as the homework
    did; that was its mistake: the halves have other means, so no model can be right on both. ``train_mrl.csv`` and
    ``test_mrl.csv`` have ``seq,mrl``, in ribosomes per mRNA.

    Parameters
    ----------
    source : str or Path
        The folder of the fetched files, or a table with the columns ``seq``, ``mrl`` and ``published_split``. Rows may
        be missing there: labels have the mean and scale of the published halves all the same.
    output : str or Path
        The folder for the tables; it is made if it does not exist.
    library : Library
        Which files, if `source` is a folder.

    Returns
    -------
    dict of str to int
        Rows of ``train`` and of ``test``; see ``HALVES`` for those that were published.

    Raises
    ------
    RibocastError
        If `source` cannot be read, a row cannot be used, or a half has no rows.
    """
    rows = read_library(source, library) if Path(source).is_dir() else _read_split(source)
    make_folder(output)
    places = OutputPaths([source])
    targets = {name: Path(output) / f"{name}.csv" for half in HALVES for name in (half.name, f"{half.name}_mrl")}
    for target in targets.values():
        places.add(target, "a table of the homework")
    halves = {half.name: rows.loc[rows["published_split"] == half.name, ["seq", "mrl"]] for half in HALVES}
    for half in HALVES:
        if halves[half.name].empty:
            raise InputError(f"{source}: no row of the {half.name} half (column 'published_split')")
    for half in HALVES:
        own = halves[half.name]
        label = (own["mrl"].astype(float) - half.mean) / half.sd
        for name, table in ((half.name, own[["seq"]].assign(label=label)), (f"{half.name}_mrl", own)):
            with open_table(targets[name]) as sink:
                sink.write(table)
    return {name: len(own) for name, own in halves.items()}


def _read_split(path: str | Path) -> pd.DataFrame:
    import pandas as pd

    chunk = read_table(path)
    columns = chunk.frame.columns.tolist()
    if missing := [name for name in ("mrl", "published_split") if name not in columns]:
        raise InputError(f"{chunk.source}: no column {missing[0]!r} among: {', '.join(map(str, columns))}")
    chunk = replace(chunk, label_column="mrl")
    chunk.check(need_label=True)
    split = np.array(chunk.names("published_split"))
    unknown = np.flatnonzero(~np.isin(split, [half.name for half in HALVES]))
    if len(unknown):
        reason = f"{split[unknown[0]][:60]!r} is neither 'train' nor 'test' (column 'published_split')"
        raise InputError(chunk.say(Fault(int(unknown[0]), reason)))
    return pd.DataFrame({"seq": chunk.utrs, "mrl": chunk.labels(), "published_split": split})


def _array(path: Path, sha256: str) -> NDArray[Any]:
    try:
        content = read_checked(path, sha256)
    except InputError as error:
        raise InputError(f"{error}; ribocast data fetch -o {path.parent}") from None
    try:
        array: object = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path}: not a NumPy array: {error}") from None
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: holds several arrays, not one")
    return array


def _say(array: NDArray[Any]) -> str:
    return f"{array.dtype} of shape {array.shape}" + (f", from {array.min()} to {array.max()}" if array.size else "")
