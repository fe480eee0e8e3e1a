"""What a person who typed an unknown name may have meant: other spellings, other tools' names, typing errors."""

from collections.abc import Iterable
from difflib import get_close_matches

_NEAR_ALIAS = 0.75  # as near as two of four letters that are swapped

# Other names for what regbench has, in lower case without - and _. Where several are listed, the first that is allowed
# is meant. A name may be followed by the values that it needs: `xavier init.distribution=uniform`.
_ALIASES: dict[str, tuple[str, ...]] = {
    # models
    "ann": ("mlp",),
    "conv": ("cnn",),
    "convnet": ("cnn",),
    "dnn": ("mlp",),
    "fc": ("mlp",),
    "feedforward": ("mlp",),
    "lenet": ("cnn",),
    "lenet5": ("cnn",),
    "perceptron": ("mlp",),
    # normalizations
    "batchnorm1d": ("batch",),
    "batchnorm2d": ("batch",),
    "bn": ("batch",),
    "gn": ("group",),
    "in": ("instance",),
    "ln": ("layer",),
    # activations
    "leaky": ("leaky_relu",),
    "linear": ("identity",),
    "logistic": ("sigmoid",),
    "lrelu": ("leaky_relu",),
    "rectifier": ("relu",),
    "swish": ("silu",),
    # initializers
    "gaussian": ("normal",),
    "glorot": ("xavier",),
    "glorotnormal": ("xavier init.distribution=normal",),
    "glorotuniform": ("xavier init.distribution=uniform",),
    "he": ("kaiming",),
    "henormal": ("kaiming init.distribution=normal",),
    "heuniform": ("kaiming init.distribution=uniform",),
    "kaimingnormal": ("kaiming init.distribution=normal",),
    "kaiminguniform": ("kaiming init.distribution=uniform",),
    "lecunnormal": ("lecun init.distribution=normal",),
    "lecununiform": ("lecun init.distribution=uniform",),
    "ones": ("constant",),
    "ortho": ("orthogonal",),
    "pytorch": ("default",),
    "torch": ("default",),
    "truncnormal": ("truncated_normal",),
    "xaviernormal": ("xavier init.distribution=normal",),
    "xavieruniform": ("xavier init.distribution=uniform",),
    "zero": ("constant",),
    "zeros": ("constant",),
    # regularizers
    "l1l2": ("elastic_net",),
    "lasso": ("l1",),
    "ridge": ("l2",),
    "weightdecay": ("weight_decay", "l2"),
    # optimizers
    "gd": ("sgd",),
    "gradientdescent": ("sgd",),
    "momentum": ("sgd optimizer.momentum=0.9",),
    "nesterov": ("sgd optimizer.momentum=0.9 optimizer.nesterov=true",),
    # schedulers
    "cosineannealing": ("cosine",),
    "exp": ("exponential",),
    "plateau": ("reduce_on_plateau",),
    "reducelronplateau": ("reduce_on_plateau",),
    "sgdr": ("cosine_restarts",),
    "triangular": ("cyclic",),
    "warmrestarts": ("cosine_restarts",),
    # augmentations and data
    "crop": ("random_resized_crop",),
    "cutout": ("erasing",),
    "fashion": ("fashion_mnist",),
    "flip": ("flip_rotate",),
    "fmnist": ("fashion_mnist",),
    "folder": ("image_folder",),
    "randomerasing": ("erasing",),
    "rotation": ("flip_rotate", "affine"),
    # nothing chosen
    "false": ("none", "constant", "off"),
    "no": ("none", "constant", "off"),
    "none": ("constant", "identity", "off", "null"),
    "null": ("none", "constant"),
    "off": ("none", "constant", "null"),
    "yes": ("on", "true"),
    # keys
    "act": ("activation",),
    "amp": ("precision",),
    "arch": ("model",),
    "architecture": ("model",),
    "augmentation": ("augment",),
    "batch": ("batch_size",),
    "beta1": ("betas",),
    "beta2": ("betas",),
    "bs": ("batch_size",),
    "clip": ("clip_norm",),
    "clipgrad": ("clip_norm",),
    "clipgradnorm": ("clip_norm",),
    "clipgradvalue": ("clip_value",),
    "cores": ("threads",),
    "dataset": ("data",),
    "decay": ("weight_decay",),
    "dropoutrate": ("dropout",),
    "droprate": ("dropout",),
    "dtype": ("precision",),
    "epsilon": ("eps",),
    "eta": ("lr",),
    "gpu": ("device", "cuda"),
    "gradclip": ("clip_norm",),
    "hiddendim": ("hidden",),
    "hiddensize": ("hidden",),
    "hiddensizes": ("hidden",),
    "initialisation": ("init",),
    "initialization": ("init",),
    "initializer": ("init",),
    "keepprob": ("dropout",),
    "lambda": ("strength",),
    "layers": ("hidden",),
    "learningrate": ("lr",),
    "lrate": ("lr",),
    "lrscheduler": ("scheduler",),
    "maxepochs": ("epochs",),
    "maxgradnorm": ("clip_norm",),
    "nepochs": ("epochs",),
    "net": ("model",),
    "network": ("model",),
    "nonlinearity": ("activation",),
    "normalisation": ("norm",),
    "normalization": ("norm",),
    "normalizer": ("norm",),
    "numepochs": ("epochs",),
    "numthreads": ("threads",),
    "numworkers": ("threads",),
    "opt": ("optimizer",),
    "optim": ("optimizer",),
    "outdir": ("dir",),
    "outputdir": ("dir",),
    "overwrite": ("force",),
    "pdrop": ("dropout",),
    "quiet": ("progress",),
    "randomseed": ("seed",),
    "randomstate": ("seed",),
    "reg": ("regularizer",),
    "regularisation": ("regularizer",),
    "regularization": ("regularizer",),
    "root": ("path",),
    "sched": ("scheduler",),
    "smoothing": ("label_smoothing",),
    "subset": ("train_size",),
    "transform": ("augment",),
    "transforms": ("augment",),
    "silent": ("progress",),
    "units": ("hidden",),
    "valsplit": ("val_size",),
    "verbose": ("progress",),
    "verbosity": ("progress",),
    "wd": ("weight_decay",),
    "width": ("hidden",),
    # values
    "after": ("post",),
    "before": ("pre",),
    "double": ("fp64",),
    "float": ("fp32",),
    "float16": ("bf16",),
    "float32": ("fp32",),
    "float64": ("fp64",),
    "fp16": ("bf16",),
    "half": ("bf16",),
    "minmax": ("unit",),
    "zscore": ("standard",),
    # how runs end
    "crashed": ("failed",),
    "done": ("completed",),
    "error": ("failed",),
    "finished": ("completed",),
    "inprogress": ("running",),
    "nan": ("diverged",),
    "ok": ("completed",),
    "stopped": ("interrupted",),
    "success": ("completed",),
    # options of the commands
    "filter": ("--where",),
    "groupby": ("--by",),
    "head": ("--limit",),
    "orderby": ("--sort",),
    "out": ("--output",),
    "outfile": ("--output",),
    "query": ("--where",),
    "sortby": ("--sort",),
    "top": ("--limit",),
    "force": ("--yes",),
    "y": ("--yes",),
    # commands
    "compare": ("summary",),
    "delete": ("rm",),
    "draw": ("plot",),
    "figure": ("plot",),
    "fit": ("train",),
    "remove": ("rm",),
    "run": ("train",),
    "runs": ("ls",),
    "status": ("ls",),
    "table": ("summary",),
    "version": ("--version", "info"),
    # formats
    "excel": ("csv",),
    "htm": ("html",),
    "markdown": ("md",),
    "tex": ("latex",),
    "text": ("table",),
    "txt": ("table",),
    "xls": ("csv",),
    "xlsx": ("csv",),
    # functions of a sweep
    "arange": ("range",),
    "linspace": ("range",),
    "list": ("choice",),
    "loguniform": ("interval",),
    "oneof": ("choice",),
    "randint": ("range",),
    "uniform": ("interval",),
    # flags, launchers and samplers
    "bayes": ("tpe",),
    "dryrun": ("--plan",),
    "joblib": ("processes",),
    "multiprocessing": ("processes",),
    "parallel": ("processes",),
    "sweep": ("--multirun",),
    "slurm": ("submitit_slurm",),
    # figures
    "acc": ("test_acc", "mean"),
    "accuracy": ("test_acc", "mean"),
    "testacc": ("mean",),
    "average": ("mean",),
    "loss": ("test_loss",),
    "time": ("seconds",),
}


def suggestion(given: str, names: Iterable[str]) -> str | None:
    """Return the allowed name that is meant, or else one with few other letters; None if that is what was given."""
    forms = _forms(names)
    name = meant(given, forms.values())
    if name is None:
        match = get_close_matches(_form(given), forms, n=1)
        name = forms[match[0]] if match else _near_alias(given, forms.values()) or _by_leaf(given, forms.values())
    return None if name == given else name


def meant(given: str, names: Iterable[str]) -> str | None:
    """Return the allowed name that is certainly meant, with the values that it needs: another spelling, an alias."""
    forms, form = _forms(names), _form(given)
    for word in (form, form.removesuffix("lr"), form.removesuffix("norm")):  # of torch's StepLR and BatchNorm
        aliases = (alias for alias in _ALIASES.get(word, ()) if alias.partition(" ")[0] in forms.values())
        if name := forms.get(word) or next(aliases, None):
            return name
    return None


def _by_leaf(given: str, names: Iterable[str]) -> str | None:
    """Return the only allowed name that ends so after its dot: `lr` is optimizer.lr."""
    leaves: dict[str, list[str]] = {}
    for name in names:
        if "." in name:
            leaves.setdefault(name.rpartition(".")[2], []).append(name)
    places = leaves.get(meant(given, leaves) or "", [])
    return places[0] if len(places) == 1 else None


def _near_alias(given: str, names: Iterable[str]) -> str | None:
    """Return the allowed name whose alias has few other letters: `doen`, for done, is completed."""
    allowed = list(names)
    match = get_close_matches(_form(given), _ALIASES, n=1, cutoff=_NEAR_ALIAS)
    return meant(match[0], allowed) if match else None


def _forms(names: Iterable[str]) -> dict[str, str]:
    forms: dict[str, str] = {}
    for name in names:
        forms.setdefault(_form(name), name)
    return forms


def _form(name: str) -> str:
    """Write a name as the aliases are written: FashionMNIST, fashion-mnist and fashion_mnist are the same."""
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
