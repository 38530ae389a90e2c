"""LEEP and NCE: how well do the classes of the source tell those of the target?

Both ask a pre-trained model with its own head, and train nothing. LEEP (Nguyen et al., ICML 2020, arXiv 2002.12462)
takes its probabilities theta(z) of the source classes z. It is the mean of

    log sum_z P(y | z) theta(z),  P(y, z) = mean of theta(z) over samples, where only those of class y count

NCE (Tran et al., ICCV 2019, arXiv 1908.08142) takes its predictions alone: the mean of log P(y | z), P(y | z) from
counts, which is -H(Y | Z). Both are -H(Y) if the source says nothing about the target. NCE is 0 if each source class is
part of one target class, LEEP if the source is certain, too.
"""

import numpy as np


def leep(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the terms [N] whose mean is LEEP, in nats. probabilities: of the source classes [N, Z], each row with the
    sum 1; labels: [N], of the target."""
    theta, classes = np.asarray(probabilities, np.float64), np.unique(labels, return_inverse=True)[1]
    joint = np.stack([theta[classes == each].sum(0) for each in range(classes.max() + 1)])
    total = joint.sum(0)  # a source class that no sample may be of has the probability 0 everywhere
    given = np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)
    return np.log(np.vecdot(given[classes], theta))


def nce(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the terms [N] whose mean is NCE, in nats. predictions: source classes [N]; labels: [N], of the target."""
    source, target = (np.unique(each, return_inverse=True)[1] for each in (predictions, labels))
    joint = np.zeros((source.max() + 1, target.max() + 1))
    np.add.at(joint, (source, target), 1)
    return np.log(joint[source, target] / joint.sum(1)[source])
