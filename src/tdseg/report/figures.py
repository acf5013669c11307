"""The figures of accuracy and steadiness: name, form and meaning of each, in order, wherever they are shown."""

FIGURES = {
    "miou": ("mIoU", "{:.2f} %", "one confusion matrix, void ignored"),
    "miou_streamed": ("mIoU streamed", "{:.2f} %", "the same frames as if they were a video"),
    "pixel_accuracy": ("pixel accuracy", "{:.2f} %", "labelled pixels that are right"),
    "per_path": ("mIoU by path", "{:.2f} %", ""),
    "tc": ("TC", "{:.2f} %", "mIoU of neighbouring masks along optical flow"),
    "vc8": ("VC8", "{:.2f} %", "right over 8 frames, where the label is constant"),
    "vc16": ("VC16", "{:.2f} %", "right over 16 frames, likewise"),
    "flip_rate": ("flip rate", "{:.2%}", "pixels that change class between frames, motion included"),
    "excess_flip_rate": ("excess flip rate", "{:.2%}", "pixels that change class where the label does not"),
    "flow_flip_rate": ("flow flip rate", "{:.3f} /s", "changes of class along optical flow, per pixel"),
    "flip_rate_by_phase": ("flip rate by phase", "{:.2%}", ""),
}


def shown(key: str, value: float) -> str:
    """The value of a figure with its unit after a space, as pages show it."""
    form = FIGURES[key][1]
    return f"{100 * value:.2f} %" if form.endswith("%}") else form.format(value)
