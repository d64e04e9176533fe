"""Steps a callback through training without a model."""


def step_through(callback, count, losses=None):
    for batch in range(count):
        callback.on_train_batch_begin(batch)
        callback.on_train_batch_end(batch, losses or {"loss": 1.0})
