"""The one exception that speaks to the user."""


class UserError(Exception):
    """Something that the user can mend.

    The message is one line: it names the file or the option, says what is wrong and what to do.
    The command line prints it without a traceback and exits with status 2.
    """
