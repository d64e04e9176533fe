"""What becomes of pictures that cannot be read."""

from common.data.pictures import BadPicture
from common.errors import UserError


class BadPictures:
    """The bad pictures of a data set, each of which is an error, or is reported once.

    Args:
        skip: whether the set goes on without them.
    """

    def __init__(self, skip: bool):
        self.skip = skip
        self._said: set[str] = set()

    def meet(self, error: BadPicture):
        """Prints a line about a picture that is met for the first time.

        Raises:
            UserError: bad pictures are not skipped.
        """
        if not self.skip:
            raise UserError(f"{error} (--skip_bad_images goes on without it)") from error
        if str(error) not in self._said:
            self._said.add(str(error))
            print(f"skipped {error}")
