"""The kinds of pictures, without the time that matplotlib takes to import."""

KINDS = {
    "curves": "mean over seeds of a figure of each epoch, with its band",
    "forest": "each row's difference from its baseline, with interval and verdict",
    "dots": "every seed's figure, joined to its baseline's",
    "box": "the distribution over seeds",
    "heatmap": "a pivot: --rows KEY --cols KEY",
    "effects": "which key matters: shares of the variance",
    "interaction": "whether two keys interact: --by KEY KEY",
    "sensitivity": "a figure over a number that was swept, such as optimizer.lr",
    "cd": "mean ranks and the critical difference between them",
    "layers": "activations, gradients and updates of each layer",
    "histograms": "of one run: activations, weights and gradients",
    "lr": "the schedule of the learning rate",
    "confusion": "which class is taken for which",
    "mistakes": "the test images that a row gets wrong and its baseline right",
    "filters": "first-layer weights as images",
}
