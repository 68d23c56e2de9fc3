"""What each operator is: the table that makes an operator we do not know an error instead of a silent zero.

Names are those of PyTorch's dispatcher without overload and without the underscore of the in-place form. An operator
that multiplies (convolutions, matrix products, attention) is not here: trace.py counts it.
"""

from sprat.errors import BadInput

# Give the same numbers under another shape; they cost nothing.
VIEWS = """
alias as_strided broadcast_to chunk conj detach diagonal expand flatten lift_fresh movedim narrow permute positive
real reshape resolve_conj resolve_neg select slice split split_with_sizes squeeze swapaxes t transpose unbind
unflatten unfold unsafe_split unsafe_view unsqueeze view view_as _reshape_alias _unsafe_view
"""

# Move numbers.
COPIES = """
_to_copy cat channel_shuffle clone concat constant_pad_nd contiguous copy embedding fill flip gather im2col index
index_put index_select masked_fill native_channel_shuffle pad pixel_shuffle pixel_unshuffle reflection_pad1d
reflection_pad2d repeat repeat_interleave replication_pad1d replication_pad2d roll scatter scatter_add slice_scatter
stack tril triu where zero select_scatter _unsafe_index
"""

# Make tensors that do not depend on the image.
CREATION = """
arange bernoulli empty empty_like empty_strided eye full full_like linspace new_empty new_empty_strided new_full
new_ones new_zeros normal ones ones_like rand rand_like randint randn randn_like randperm scalar_tensor uniform
zeros zeros_like _local_scalar_dense item _efficientzerotensor lift
"""

NORMALISATION = """
native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training _batch_norm_no_update
native_layer_norm native_group_norm _fused_rms_norm batch_norm instance_norm cudnn_batch_norm miopen_batch_norm
"""

ACTIVATION = """
relu relu6 hardtanh clamp clamp_min clamp_max leaky_relu elu celu selu prelu _prelu_kernel sigmoid hardsigmoid silu
hardswish mish gelu tanh softplus softsign log_sigmoid log_sigmoid_forward hardshrink softshrink threshold rrelu glu
"""

ARITHMETIC = """
add sub rsub mul div neg abs exp maximum minimum floor ceil round trunc frac sign pow sqrt rsqrt square reciprocal
log log1p log2 log10 expm1 exp2 sin cos tan asin acos atan atan2 sinh cosh erf erfc lerp addcmul addcdiv fmod
remainder floor_divide true_divide native_dropout dropout nan_to_num fmax fmin hypot
"""

COMPARISON = """
eq ne lt le gt ge isnan isinf isfinite logical_and logical_or logical_not logical_xor bitwise_and bitwise_or
bitwise_not bitwise_xor
"""

REDUCTION = """
_softmax _log_softmax amax amin all any argmax argmin argsort cummax cumprod cumsum logsumexp max mean median min
prod sort sum std std_mean topk var var_mean norm linalg_vector_norm _safe_softmax bincount count_nonzero
"""

POOLING = """
avg_pool1d avg_pool2d avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d
max_pool2d_with_indices max_pool3d_with_indices max_pool2d fractional_max_pool2d mkldnn_max_pool2d
upsample_nearest1d upsample_nearest2d _upsample_nearest_exact2d upsample_bilinear2d upsample_bicubic2d
upsample_linear1d _upsample_bilinear2d_aa grid_sampler_2d max_unpool2d
"""

_GROUPS = {
    "view": VIEWS,
    "copy": COPIES,
    "creation": CREATION,
    "normalisation": NORMALISATION,
    "activation": ACTIVATION,
    "arithmetic": ARITHMETIC,
    "comparison": COMPARISON,
    "reduction": REDUCTION,
    "pooling": POOLING,
}
_GROUP_OF = {name: group for group, names in _GROUPS.items() for name in names.split()}

FREE = frozenset({"view", "creation", "constant"})
IN_PLACE = frozenset({"normalisation", "activation", "arithmetic"})


def group_of(operator: str, module: str) -> str:
    """The group of an operator that does not multiply: "view", "copy", "creation", "normalisation", "activation", ...

    Args:
        operator: its name, such as "aten.relu" or "aten.relu_".
        module: path of the module that ran it, for the message.

    Raises:
        BadInput: nobody has said what it costs.
    """
    namespace, _, name = operator.partition(".")
    short = name.rstrip("_") if not name.startswith("__") else name
    if namespace in ("aten", "prims") and short in _GROUP_OF:
        return _GROUP_OF[short]
    raise BadInput(
        f"cannot count {operator}, which {module or 'the network'} runs: its multiply-adds are not known; write it "
        "with convolutions, matrix products and element-wise operators, or report it so that it can be added"
    )
