"""The optimizers that a recipe may name; free of torch, so that grids are read without it."""

OPTIMIZERS = frozenset(
    """
    adabelief adadelta adafactor adafactorbv adafactorbvc adagrad adam adamax adamc adamp adamuon
    adamw adamwlegacy adan adanw adopt adoptc adoptw cadafactor cadafactorbv cadafactorbvc cadamc
    cadamp cadamw cadan cadanw cadopt cadoptc cadoptw clamb clambw claprop clion clionc cmars
    cnadamc cnadamw crmsproptf csgdc csgdp csgdw lamb lambc lambcd lambcw lambw laprop lapropc larc
    lars lion lionc madgrad madgradw mars momentum muon nadam nadamc nadamlegacy nadamuon nadamw
    nesterov nesterovw nlarc nlars nmuon novograd novogradc novogradw radabelief radam radamlegacy
    radamw rmsprop rmsproptf rmsproptfc rmsproptfw sgd sgdc sgdp sgdw
    """.split()  # noqa: SIM905  # one name a line would be a page
)
"""`adamw` is torch's; the others are timm's (`timm.optim.list_optimizers`, 1.0.31).

Left out: `bnb*` and `fused*`, which need other packages; `adahessian`, which needs second
derivatives; `kron*`, whose random numbers no checkpoint of torch's holds.
"""
