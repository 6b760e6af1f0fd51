"""A small MegaFace without its devkit: FaceScrub's and MegaFace's images, lists and noise lists."""

from __future__ import annotations

from pathlib import Path

from urface.benchmarks.megaface import FOLDERS
from urface.benchmarks.miniatures.faces import people
from urface.benchmarks.miniatures.pictures import save

PEOPLE, SHOTS, STRANGERS = 8, 4, 112


def write(root: Path, name: str, seed: int) -> None:
    """Eight people with four images each among 112 strangers; one image of each list is noise."""
    probes = {
        f"person_{person}/person_{person}_{shot}.jpg": face
        for person, shots in enumerate(people(PEOPLE, SHOTS, seed))
        for shot, face in enumerate(shots)
    }
    strangers = {
        f"{number // 10}/{1000 + number}@N00/{number}_0.jpg": shots[0]
        for number, shots in enumerate(people(STRANGERS, 1, seed, first=PEOPLE))
    }
    for part, images in {"facescrub": probes, "megaface": strangers}.items():
        for path, face in images.items():
            save(root / FOLDERS[part] / path, face)
        save(root / f"{part}_lst", "".join(f"{path}\n" for path in images))
    save(
        root / "facescrub_noises.txt",
        "# images that are not of the person named\nperson_0_3.jpg\nperson_99_1.jpg\n",
    )
    noisy = list(strangers)[3]
    save(root / "megaface_noises.txt", f"# images of people who are probes\n1\t{noisy}\n")
