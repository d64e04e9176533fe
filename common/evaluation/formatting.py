"""Evaluation results as text."""

from collections.abc import Sequence


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines of aligned columns, the first left-justified, the others right."""
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    return "\n".join(
        "  ".join([row[0].ljust(first), *map(str.rjust, row[1:], others)]) for row in rows
    )


def format_autoencoder(results: dict) -> str:
    """The results of evaluating an auto-encoder, one line each.

    Args:
        results: `count`, the number of test images; `reconstruction_mse`; `codes` and `prior`, as
            `representation.moment_ranges`; `discriminator_accuracy`; and, where the encoder
            predicts classes, `classification_error`.
    """

    def written(ranges):
        (a, b), (c, d) = ranges["mean"], ranges["std"]
        return f"means {a:.2f} to {b:.2f}, standard deviations {c:.2f} to {d:.2f}"

    lines = [
        f"on {results['count']} real test images:",
        f"reconstruction  mean squared error {results['reconstruction_mse']:.4f} on [0, 1]",
        f"codes           {written(results['codes'])}",
        f"prior           {written(results['prior'])}",
        f"discriminator   accuracy {results['discriminator_accuracy']:.1%} (chance: 50%)",
    ]
    if "classification_error" in results:
        lines.append(f"classification  error {results['classification_error']:.2%}")
    return "\n".join(lines)
