"""Peak arithmetic rates of devices, for model FLOPs utilization."""

import re
from typing import Literal

Precision = Literal["float16", "bfloat16", "tf32", "float32"]

# Dense TFLOP/s of matrix multiplication by the name that CUDA reports, without sparsity, with
# accumulation in float32. Of each row: float16, bfloat16, TF32, float32; None if the device has no
# such unit. A name must match a pattern as a whole: slices of a device (MIG) and laptop variants,
# which have other peaks, match none.
#
# Sources, all by NVIDIA: the data sheets of V100, T4, A100, A30, A10, A40, L4, L40, L40S, H100,
# H200, GH200 and DGX B200, and the white papers of the architectures GA102 (RTX 3090, RTX A6000)
# and Ada (RTX 4090, RTX 6000 Ada).
_PEAKS: tuple[tuple[str, tuple[float | None, float | None, float | None, float]], ...] = (
    (r"V100-SXM2-\d+GB", (125.0, None, None, 15.7)),
    (r"V100-PCIE-\d+GB", (112.0, None, None, 14.0)),
    (r"V100S-PCIE-\d+GB", (130.0, None, None, 16.4)),
    (r"T4", (65.0, None, None, 8.1)),
    (r"A100-(SXM4|SXM|PCIE|PG509)?.*\d+GB|A100 80GB PCIe", (312.0, 312.0, 156.0, 19.5)),
    (r"A30", (165.0, 165.0, 82.0, 10.3)),
    (r"A10", (125.0, 125.0, 62.5, 31.2)),
    (r"A40", (149.7, 149.7, 74.8, 37.4)),
    (r"L4", (121.0, 121.0, 60.0, 30.3)),
    (r"L40", (181.0, 181.0, 90.5, 90.5)),
    (r"L40S", (362.0, 362.0, 183.0, 91.6)),
    (r"H100 80GB HBM3|H100 SXM.*", (989.4, 989.4, 494.7, 66.9)),
    (r"H100 PCIe", (756.0, 756.0, 378.0, 51.0)),
    (r"H100 NVL", (835.5, 835.5, 417.5, 60.0)),
    (r"H200", (989.4, 989.4, 494.7, 66.9)),
    (r"H200 NVL", (835.5, 835.5, 417.5, 60.0)),
    (r"GH200 \d+GB.*", (989.4, 989.4, 494.7, 66.9)),
    (r"B200", (2250.0, 2250.0, 1125.0, 75.0)),
    (r"GeForce RTX 3090", (71.0, 71.0, 35.6, 35.6)),
    (r"GeForce RTX 4090", (165.2, 165.2, 82.6, 82.6)),
    (r"RTX A6000", (154.8, 154.8, 77.4, 38.7)),
    (r"RTX 6000 Ada Generation", (364.2, 364.2, 182.1, 91.1)),
)
_COLUMNS: tuple[Precision, ...] = ("float16", "bfloat16", "tf32", "float32")


def peak_tflops(device_name: str, precision: Precision) -> float | None:
    """Return the peak of a device in TFLOP/s, or None if it is not in the table.

    Args:
        device_name: The name that ``torch.cuda.get_device_name`` returns.
        precision: The precision of matrix multiplications.

    Example:
        >>> peak_tflops("NVIDIA A100-SXM4-80GB", "bfloat16")
        312.0
        >>> peak_tflops("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "bfloat16")
    """
    name = re.sub(r"^(NVIDIA|Tesla) ", "", device_name.strip())
    for pattern, peaks in _PEAKS:
        if re.fullmatch(pattern, name) and "MIG" not in name:
            return peaks[_COLUMNS.index(precision)]
    return None
