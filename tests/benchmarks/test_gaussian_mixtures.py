from benchmarks.gaussian_mixtures import grid, ring

import numpy as np
import pytest


@pytest.mark.parametrize("mixture, modes, reach", [(ring(), 8, 2.0), (grid(), 25, 4.0)])
def test_points_lie_around_their_centres(mixture, modes, reach):
    assert mixture.centres.shape == (modes, 2)
    assert np.abs(mixture.centres).max() == pytest.approx(reach)
    points = mixture.points(3, 20_000)
    assert points.shape == (20_000, 2) and points.dtype == np.float32
    offsets = points[:, None] - mixture.centres
    nearest = np.linalg.norm(offsets, axis=2).argmin(axis=1)
    shares = np.bincount(nearest, minlength=modes) / len(points)
    np.testing.assert_allclose(shares, 1 / modes, atol=0.02)
    deviations = offsets[np.arange(len(points)), nearest]
    np.testing.assert_allclose(deviations.std(axis=0), mixture.std, rtol=0.03)
    np.testing.assert_array_equal(points, mixture.points(3, 20_000))
    assert (points != mixture.points(4, 20_000)).any()
