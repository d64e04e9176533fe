"""Optimizers with the constants of the papers' code."""

import keras


def adam(
    learning_rate: float,
    beta_1: float,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    clipnorm: float | None = None,
) -> keras.optimizers.Adam:
    """Adam (Kingma and Ba 2015), by default with epsilon 1e-8, as in Torch and the paper.

    Keras adds epsilon inside the bias correction (the paper's epsilon hat), Torch after it: in the
    first steps 1e-8 here acts like up to 3e-7 there. `clipnorm` bounds the norm of the gradient of
    each variable by itself.
    """
    return keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon, clipnorm=clipnorm)


def rmsprop(
    learning_rate: float, rho: float = 0.99, epsilon: float = 1e-16
) -> keras.optimizers.RMSprop:
    """RMSprop, by default with Torch's constants, on which the code of WGAN's authors relies.

    Torch adds its epsilon, 1e-8, to the root of the mean square; Keras and TensorFlow 1, whose
    constants are 0.9 and 1e-10, add it to the mean square.
    """
    return keras.optimizers.RMSprop(learning_rate, rho=rho, epsilon=epsilon)
