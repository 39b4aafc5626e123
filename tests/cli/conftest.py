"""Studies on the toy backend for the verbs that run them."""

from pipeline.conftest import gate as gate
from pipeline.conftest import one_arm as one_arm
from pipeline.conftest import write_study as write_study
