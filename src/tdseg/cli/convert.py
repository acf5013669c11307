"""`tdseg convert`."""

from __future__ import annotations

from rich.markup import escape

from tdseg.cli.terminal import DONE, out


def convert(
    source: str,
    target: str,
    /,
    *,
    model: str,
    num_classes: int = 19,
    memory_stride: int | None = None,
    overwrite: bool = False,
) -> int:
    """Convert a checkpoint of the official TDNet code to one .safetensors file; nothing in it is executed.

    A teacher file of that code converts too, with --model psp101.

    Args:
        source: A released file (.pkl), or a checkpoint of the training code.
        target: The .safetensors file to write, which `--model` of every other command takes.
        model: Which model the checkpoint holds, such as td4-psp18; psp101 for a teacher.
        num_classes: Classes of the checkpoint.
        memory_stride: Spatial subsampling of the memory; by default 4, that of the official testing code.
        overwrite: Replace the target.
    """
    from tdseg.zoo import official as module

    config = module.convert(
        source, target, model=model, num_classes=num_classes, memory_stride=memory_stride, overwrite=overwrite
    )
    out.print(
        f"{escape(target)}: {config.name}, {config.num_classes} classes"
        + (f", memory stride {config.memory_stride}" if config.paths > 1 else ""),
        soft_wrap=True,
    )
    return DONE
