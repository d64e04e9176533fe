"""Code shared by the models of the zoo.

Every model file imports it before TensorFlow and Keras, so that these settings take effect.
"""

import sys

from common import environment, help_stubs

environment.set_variables()
if help_stubs.only_help_is_asked_for(sys.argv):
    help_stubs.install()
else:
    environment.import_tensorflow_quietly()
    environment.keep_freed_memory()
