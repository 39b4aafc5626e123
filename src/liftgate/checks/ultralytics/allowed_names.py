"""List the names that a detector's checkpoint may import, exactly as Python resolves them; others are suspicious.

Three kinds: classes that are instantiated without a call, functions and types that are called, and names that are only
used as values. A class of the first kind must not be called: building an Ultralytics model from a
description evaluates text of that description.
"""

from __future__ import annotations

import sys
from typing import NamedTuple


class GlobalName(NamedTuple):
    """A name as a pickle gives it: a module to import, and an attribute of it, whose dots are followed too."""

    module: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.module}.{self.attribute}"


# torch's and Ultralytics' layers, models and losses, also of versions before this one and of YOLOv5.
_CLASSES = """
torch.nn.modules.activation: CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid
    LogSoftmax Mish MultiheadAttention PReLU RReLU ReLU ReLU6 SELU SiLU Sigmoid Softmax Softmax2d Softmin Softplus
    Softshrink Softsign Tanh Tanhshrink Threshold
torch.nn.modules.adaptive: AdaptiveLogSoftmaxWithLoss
torch.nn.modules.batchnorm: BatchNorm1d BatchNorm2d BatchNorm3d LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d
    SyncBatchNorm _BatchNorm _LazyNormBase _NormBase
torch.nn.modules.channelshuffle: ChannelShuffle
torch.nn.modules.container: Container ModuleDict ModuleList ParameterDict ParameterList Sequential
torch.nn.modules.conv: Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d LazyConv1d LazyConv2d
    LazyConv3d LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d _ConvNd _ConvTransposeMixin
    _ConvTransposeNd
torch.nn.modules.distance: CosineSimilarity PairwiseDistance
torch.nn.modules.dropout: AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout _DropoutNd
torch.nn.modules.flatten: Flatten Unflatten
torch.nn.modules.fold: Fold Unfold
torch.nn.modules.instancenorm: InstanceNorm1d InstanceNorm2d InstanceNorm3d LazyInstanceNorm1d LazyInstanceNorm2d
    LazyInstanceNorm3d _InstanceNorm
torch.nn.modules.linear: Bilinear Identity LazyLinear Linear NonDynamicallyQuantizableLinear
torch.nn.modules.loss: BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss GaussianNLLLoss
    HingeEmbeddingLoss HuberLoss KLDivLoss L1Loss LinearCrossEntropyLoss MSELoss MarginRankingLoss
    MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss NLLLoss2d PoissonNLLLoss SmoothL1Loss
    SoftMarginLoss TripletMarginLoss TripletMarginWithDistanceLoss _Loss _WeightedLoss
torch.nn.modules.module: Module
torch.nn.modules.normalization: CrossMapLRN2d GroupNorm LayerNorm LocalResponseNorm RMSNorm
torch.nn.modules.padding: CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d
    ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d ZeroPad1d
    ZeroPad2d ZeroPad3d _CircularPadNd _ConstantPadNd _ReflectionPadNd _ReplicationPadNd
torch.nn.modules.pixelshuffle: PixelShuffle PixelUnshuffle
torch.nn.modules.pooling: AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d
    AdaptiveMaxPool3d AvgPool1d AvgPool2d AvgPool3d FractionalMaxPool2d FractionalMaxPool3d LPPool1d LPPool2d
    LPPool3d MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d _AdaptiveAvgPoolNd _AdaptiveMaxPoolNd
    _AvgPoolNd _LPPoolNd _MaxPoolNd _MaxUnpoolNd
torch.nn.modules.rnn: GRU GRUCell LSTM LSTMCell RNN RNNBase RNNCell RNNCellBase
torch.nn.modules.sparse: Embedding EmbeddingBag
torch.nn.modules.transformer: Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder
    TransformerEncoderLayer
torch.nn.modules.upsampling: Upsample UpsamplingBilinear2d UpsamplingNearest2d
ultralytics.nn.modules.activation: AGLU
ultralytics.nn.modules.block: A2C2f AAttn ABlock AConv ADown Attention BNContrastiveHead Bottleneck BottleneckCSP C1
    C2 C2PSA C2f C2fAttn C2fCIB C2fPSA C3 C3Ghost C3TR C3f C3k C3k2 C3x CBFuse CBLinear CIB ContrastiveHead DFL
    ELAN1 GhostBottleneck HGBlock HGStem ImagePoolingAttn MaxSigmoidAttnBlock PSA PSABlock Proto Proto26 RealNVP
    RepBottleneck RepC3 RepCSP RepNCSPELAN4 RepVGGDW ResNetBlock ResNetLayer Residual SAVPE SCDown SPP SPPELAN SPPF
    Silence SwiGLUFFN TorchVision
ultralytics.nn.modules.conv: CBAM ChannelAttention Concat Conv Conv2 ConvTranspose DWConv DWConvTranspose2d Focus
    GhostConv Index LightConv RepConv SpatialAttention
ultralytics.nn.modules.head: Classify Depth Detect LRPCHead OBB OBB26 Pose Pose26 RTDETRDecoder Segment Segment26
    SemanticSegment WorldDetect YOLOEDetect YOLOESegment YOLOESegment26 v10Detect
ultralytics.nn.modules.transformer: AIFI DeformableTransformerDecoder DeformableTransformerDecoderLayer LayerNorm2d
    MLP MLPBlock MSDeformAttn TransformerBlock TransformerEncoderLayer TransformerLayer
ultralytics.nn.tasks: BaseModel ClassificationModel DepthModel DetectionModel Ensemble OBBModel PoseModel
    RTDETRDetectionModel SegmentationModel SemanticSegmentationModel WorldModel YOLOEModel YOLOESegModel
    YOLOv10DetectionModel
ultralytics.utils.loss: BCEDiceLoss BboxLoss DFLoss DepthLoss26 E2EDetectLoss E2ELoss FocalLoss KeypointLoss
    MultiChannelDiceLoss PoseLoss26 RLELoss RotatedBboxLoss SegmentLoss26 SemanticSegmentationLoss TVPDetectLoss
    TVPSegmentLoss VarifocalLoss v10DetectLoss v8ClassificationLoss v8DetectionLoss v8OBBLoss v8PoseLoss
    v8SegmentationLoss
ultralytics.utils.tal: PoseTaskAlignedAssigner RotatedTaskAlignedAssigner SegTaskAlignedAssigner TaskAlignedAssigner
torch.nn.parameter: Parameter Buffer UninitializedParameter UninitializedBuffer
models.yolo: BaseModel ClassificationModel Detect DetectionModel Model Segment SegmentationModel
models.common: AutoShape Bottleneck BottleneckCSP C3 C3Ghost C3SPP C3TR C3x Classify Concat Contract Conv CrossConv
    DWConv DWConvTranspose2d Expand Focus GhostBottleneck GhostConv Proto SPP SPPF TransformerBlock TransformerLayer
models.experimental: Ensemble MixConv2d Sum
torchvision.transforms.transforms: CenterCrop Compose Normalize Resize ToTensor
ultralytics.utils: SimpleClass
ultralytics.yolo.utils: SimpleClass
argparse: Namespace
"""

_CALLED = """
torch: Size device
torch._utils: _rebuild_parameter _rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor _rebuild_tensor
    _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_meta_tensor_no_storage _rebuild_device_tensor_from_numpy
torch._tensor: _rebuild_from_type_v2
torch.serialization: _get_layout
torchvision.transforms.functional: InterpolationMode
collections: OrderedDict defaultdict Counter deque
builtins: set frozenset slice complex bytearray bytes range object getattr
numpy: dtype
numpy.core.multiarray: _reconstruct scalar
numpy._core.multiarray: _reconstruct scalar
numpy.core.numeric: _frombuffer
numpy._core.numeric: _frombuffer
datetime: date datetime time timedelta timezone
pathlib: Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath
pathlib._local: Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath
types: SimpleNamespace
ultralytics.utils: IterableSimpleNamespace
ultralytics.yolo.utils: IterableSimpleNamespace
copyreg: _reconstructor
_codecs: encode
"""

_VALUES = """
builtins: list dict tuple int float bool str
numpy: ndarray
torch: Tensor float16 float32 float64 bfloat16 float half double uint8 int8 int16 int32 int64 short int long bool
    complex32 complex64 complex128 qint8 quint8 qint32 preserve_format contiguous_format channels_last strided
    FloatStorage DoubleStorage HalfStorage BFloat16Storage LongStorage IntStorage ShortStorage CharStorage ByteStorage
    BoolStorage ComplexFloatStorage ComplexDoubleStorage QInt8Storage QUInt8Storage QInt32Storage
torch.cuda: FloatStorage DoubleStorage HalfStorage BFloat16Storage LongStorage IntStorage ShortStorage CharStorage
    ByteStorage BoolStorage FloatTensor HalfTensor
torch.storage: UntypedStorage TypedStorage _UntypedStorage _TypedStorage
"""


def _table(text: str) -> frozenset[GlobalName]:
    names: set[GlobalName] = set()
    module = ""
    for word in text.split():
        if word.endswith(":"):
            module = word[:-1]
        else:
            names.add(GlobalName(module, word))
    return frozenset(names)


def _exported(classes: frozenset[GlobalName], package: str) -> frozenset[GlobalName]:
    """Return the same classes as exported by their package, the names in checkpoints of older versions."""
    return frozenset(GlobalName(package, name.attribute) for name in classes if name.module.startswith(f"{package}."))


_DEFINED = _table(_CLASSES)
CREATED = _DEFINED | _exported(_DEFINED, "torch.nn.modules") | _exported(_DEFINED, "ultralytics.nn.modules")
"""Classes that are created as pickle does by default: without calling them, then with their attributes set."""
CALLED = _table(_CALLED)
"""Functions and types that are called to rebuild a value, and do no more than that with any argument."""
VALUES = _table(_VALUES)
"""Types that a checkpoint contains as values"""
ALLOWED = CREATED | CALLED | VALUES

# Packages whose names are all known: what is not allowed of them is hostile. Others are only unknown, until called.
_KNOWN_PACKAGES_TEXT = """
    torch torchvision torchaudio ultralytics numpy scipy PIL cv2 yaml requests urllib3 pip setuptools pkg_resources
    wheel distutils dill cloudpickle joblib pandas matplotlib IPython jinja2 liftgate fsspec aiohttp
    httpx paramiko pexpect sh plumbum fabric invoke nox tox conda uv commands popen2 __builtin__ copy_reg
"""
_LAYERS = ("torch.nn.modules.", "ultralytics.nn.modules.")
_KNOWN_PACKAGES = frozenset(_KNOWN_PACKAGES_TEXT.split())


def is_foreign(name: GlobalName) -> bool:
    """Return whether a name is neither of Python nor of a package whose names are all known.

    A layer that another version of Ultralytics or torch has is unknown too.
    """
    top = name.module.partition(".")[0]
    if not top or not name.attribute.isidentifier():
        return False
    layer = name.module.startswith(_LAYERS) and name.attribute[0].isupper()
    return layer or top not in sys.stdlib_module_names | _KNOWN_PACKAGES
