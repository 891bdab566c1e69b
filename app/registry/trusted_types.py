"""Our own list of types that a model's file may hold beyond those that skops trusts by itself.

skops trusts scikit-learn's public estimators, so a linear model, or a pipeline of scalers and one,
needs nothing from here. A model that needs another type is refused; to serve such models, add the
type after reading what its construction and `__setstate__` do. What an artifact says about itself
counts only as far as this list has the same.
"""

TRUSTED_TYPES: tuple[str, ...] = (
    # Decision trees, and all that is made of them: forests, extra trees, gradient boosting,
    # AdaBoost. Compiled; its `__setstate__` checks the shape and type of the node array.
    "sklearn.tree._tree.Tree",
    # Histogram gradient boosting. Plain Python around arrays of nodes.
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    # Nearest neighbours, with the metric that is the default. Compiled, over arrays.
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    # Voting and stacking keep their members in it: a dictionary with attributes.
    "sklearn.utils._bunch.Bunch",
    # Neural networks keep their optimiser, which prediction does not use. Plain Python.
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
)
