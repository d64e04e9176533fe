"""What becomes of images that cannot be read."""

from common.errors import UserError
from common.images.image_file import BadImage


class BadImages:
    """The bad images of a data set, each of which is an error, or is reported once.

    Args:
        skip: whether the set goes on without them.
    """

    def __init__(self, skip: bool):
        self.skip = skip
        self._said: set[str] = set()

    def meet(self, error: BadImage):
        """Prints a line about an image that is met for the first time.

        Raises:
            UserError: bad images are not skipped.
        """
        if not self.skip:
            raise UserError(f"{error} (--skip_bad_images goes on without it)") from error
        if str(error) not in self._said:
            self._said.add(str(error))
            print(f"skipped {error}")
