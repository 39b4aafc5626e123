"""The public names: one function for each verb of the command line, and the types that they take and return.

`import liftgate` provides them all from this table. A name is imported at its first use, so that `import liftgate` is
fast and `liftgate.evaluate` does not import what trains.

>>> import liftgate
>>> sorted(liftgate.__all__)[:3]
['ApiAccess', 'ApiPredictions', 'BenchResult']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from liftgate.public_names import lazy_names

if TYPE_CHECKING:
    from liftgate.checks.finding import Finding as Finding
    from liftgate.checks.run import CheckResult as CheckResult
    from liftgate.data.core.dataset import Dataset as Dataset
    from liftgate.data.core.predictions import Predictions as Predictions
    from liftgate.deploy.bench.records import BenchResult as BenchResult
    from liftgate.deploy.production.drift import DriftFinding as DriftFinding
    from liftgate.deploy.registry.mirror import MirrorResult as MirrorResult
    from liftgate.deploy.registry.promotion import Promotion as Promotion
    from liftgate.deploy.registry.store import RegistryCheck as RegistryCheck
    from liftgate.deploy.registry.version import ModelVersion as ModelVersion
    from liftgate.deploy.remote_predictions.predict import ApiPredictions as ApiPredictions
    from liftgate.deploy.remote_predictions.predict import predict_api_files as ask
    from liftgate.deploy.serving.client import Client as Client
    from liftgate.deploy.watching.watcher import WatchResult as WatchResult
    from liftgate.deploy.watching.watcher import WatchSettings as WatchSettings
    from liftgate.diagnosis import Diagnosis as Diagnosis
    from liftgate.diagnosis import doctor as doctor
    from liftgate.diagnosis import explain as explain
    from liftgate.errors import LiftgateError as LiftgateError
    from liftgate.errors import UsageError as UsageError
    from liftgate.evaluation.more_data import Worth as Worth
    from liftgate.evaluation.records import Comparison as Comparison
    from liftgate.evaluation.records import Comparisons as Comparisons
    from liftgate.evaluation.records import Evaluation as Evaluation
    from liftgate.evaluation.records import Verdict as Verdict
    from liftgate.evaluation.sample_size import SizeAnswer as SizeAnswer
    from liftgate.evaluation.sample_size import size_difference as size_difference
    from liftgate.evaluation.sample_size import size_kappa as size_kappa
    from liftgate.evaluation.sample_size import size_rate as size_rate
    from liftgate.evaluation.sample_size import size_seeds as size_seeds
    from liftgate.judging.compare import JudgedComparison as JudgedComparison
    from liftgate.judging.frame_design import FrameDraw as FrameDraw
    from liftgate.judging.marks import MarkedRate as MarkedRate
    from liftgate.judging.plan import JudgementPlan as JudgementPlan
    from liftgate.judging.review import Review as Review
    from liftgate.judging.review import ReviewedKind as ReviewedKind
    from liftgate.live.server import board as board
    from liftgate.pipeline.control.detach import Detached as Detached
    from liftgate.pipeline.control.status import Status as Status
    from liftgate.pipeline.flow_plan import Planned as Planned
    from liftgate.pipeline.model_predictions import PredictionResult as PredictionResult
    from liftgate.pipeline.planning.prices import Costs as Costs
    from liftgate.pipeline.preparing import Preparation as Preparation
    from liftgate.services.benching import bench as bench
    from liftgate.services.checking import check as check
    from liftgate.services.checking import mend_mistakes as mend_mistakes
    from liftgate.services.checking import review_mistakes as review_mistakes
    from liftgate.services.checking import reviewed_mistakes as reviewed_mistakes
    from liftgate.services.drift import drift as drift
    from liftgate.services.evidence import compare as compare
    from liftgate.services.evidence import compare_arms as compare_arms
    from liftgate.services.evidence import evaluate as evaluate
    from liftgate.services.export_proof import ExportProofs as ExportProofs
    from liftgate.services.export_proof import prove_exports as prove_exports
    from liftgate.services.exporting import ExportResult as ExportResult
    from liftgate.services.exporting import export as export
    from liftgate.services.judging import DrawnJudgements as DrawnJudgements
    from liftgate.services.judging import compare_judgements as compare_judgements
    from liftgate.services.judging import judge as judge
    from liftgate.services.models import add_export as add_export
    from liftgate.services.models import add_model as add_model
    from liftgate.services.models import list_models as list_models
    from liftgate.services.models import mirror_models as mirror_models
    from liftgate.services.models import promote as promote
    from liftgate.services.models import rollback as rollback
    from liftgate.services.models import show_model as show_model
    from liftgate.services.models import sign_model as sign_model
    from liftgate.services.models import verify_models as verify_models
    from liftgate.services.prediction import predict as predict
    from liftgate.services.production_test import ApiAccess as ApiAccess
    from liftgate.services.production_test import ProductionTest as ProductionTest
    from liftgate.services.production_test import evaluate_api as evaluate_api
    from liftgate.services.production_test import read_marks as read_marks
    from liftgate.services.running import logs as logs
    from liftgate.services.running import status as status
    from liftgate.services.running import stop as stop
    from liftgate.services.sampled_evidence import compare_sample as compare_sample
    from liftgate.services.sampled_evidence import draw_sample as draw_sample
    from liftgate.services.sampled_evidence import evaluate_sample as evaluate_sample
    from liftgate.services.served_prediction import ServedPredictions as ServedPredictions
    from liftgate.services.served_prediction import predict_api as predict_api
    from liftgate.services.serving import serve as serve
    from liftgate.services.shadow import ShadowResult as ShadowResult
    from liftgate.services.shadow import shadow_report as shadow_report
    from liftgate.services.shadow import shadow_start as shadow_start
    from liftgate.services.shadow import shadow_status as shadow_status
    from liftgate.services.shadow import shadow_stop as shadow_stop
    from liftgate.services.sizes import size as size
    from liftgate.services.sizes import size_models as size_models
    from liftgate.services.study_runs import Plan as Plan
    from liftgate.services.study_runs import RunResult as RunResult
    from liftgate.services.study_runs import cost as cost
    from liftgate.services.study_runs import detach as detach
    from liftgate.services.study_runs import months as months
    from liftgate.services.study_runs import plan as plan
    from liftgate.services.study_runs import prepare as prepare
    from liftgate.services.study_runs import report as report
    from liftgate.services.study_runs import run as run
    from liftgate.services.watching import watch as watch
    from liftgate.services.worth import worth as worth
    from liftgate.stats.interval import Interval as Interval
    from liftgate.study.templates import init as init

VERBS = {
    "add_export": "liftgate.services.models",
    "add_model": "liftgate.services.models",
    "ask": "liftgate.deploy.remote_predictions.predict:predict_api_files",
    "bench": "liftgate.services.benching",
    "board": "liftgate.live.server",
    "check": "liftgate.services.checking",
    "compare": "liftgate.services.evidence",
    "compare_arms": "liftgate.services.evidence",
    "compare_judgements": "liftgate.services.judging",
    "compare_sample": "liftgate.services.sampled_evidence",
    "cost": "liftgate.services.study_runs",
    "detach": "liftgate.services.study_runs",
    "doctor": "liftgate.diagnosis",
    "drift": "liftgate.services.drift",
    "draw_sample": "liftgate.services.sampled_evidence",
    "evaluate": "liftgate.services.evidence",
    "evaluate_api": "liftgate.services.production_test",
    "evaluate_sample": "liftgate.services.sampled_evidence",
    "explain": "liftgate.diagnosis",
    "export": "liftgate.services.exporting",
    "init": "liftgate.study.templates",
    "judge": "liftgate.services.judging",
    "list_models": "liftgate.services.models",
    "logs": "liftgate.services.running",
    "mend_mistakes": "liftgate.services.checking",
    "months": "liftgate.services.study_runs",
    "plan": "liftgate.services.study_runs",
    "predict": "liftgate.services.prediction",
    "predict_api": "liftgate.services.served_prediction",
    "prepare": "liftgate.services.study_runs",
    "promote": "liftgate.services.models",
    "prove_exports": "liftgate.services.export_proof",
    "read_marks": "liftgate.services.production_test",
    "report": "liftgate.services.study_runs",
    "review_mistakes": "liftgate.services.checking",
    "reviewed_mistakes": "liftgate.services.checking",
    "rollback": "liftgate.services.models",
    "run": "liftgate.services.study_runs",
    "serve": "liftgate.services.serving",
    "shadow_report": "liftgate.services.shadow",
    "shadow_start": "liftgate.services.shadow",
    "shadow_status": "liftgate.services.shadow",
    "shadow_stop": "liftgate.services.shadow",
    "show_model": "liftgate.services.models",
    "mirror_models": "liftgate.services.models",
    "sign_model": "liftgate.services.models",
    "size": "liftgate.services.sizes",
    "size_difference": "liftgate.evaluation.sample_size",
    "size_kappa": "liftgate.evaluation.sample_size",
    "size_models": "liftgate.services.sizes",
    "size_rate": "liftgate.evaluation.sample_size",
    "size_seeds": "liftgate.evaluation.sample_size",
    "status": "liftgate.services.running",
    "stop": "liftgate.services.running",
    "verify_models": "liftgate.services.models",
    "watch": "liftgate.services.watching",
    "worth": "liftgate.services.worth",
}
"""Public function → module where it is defined, and its name there where that is another"""

TYPES = {
    "ApiAccess": "liftgate.services.production_test",
    "ApiPredictions": "liftgate.deploy.remote_predictions.predict",
    "BenchResult": "liftgate.deploy.bench.records",
    "CheckResult": "liftgate.checks.run",
    "Client": "liftgate.deploy.serving.client",
    "Comparison": "liftgate.evaluation.records",
    "Comparisons": "liftgate.evaluation.records",
    "Costs": "liftgate.pipeline.planning.prices",
    "Dataset": "liftgate.data.core.dataset",
    "Detached": "liftgate.pipeline.control.detach",
    "Diagnosis": "liftgate.diagnosis",
    "DrawnJudgements": "liftgate.services.judging",
    "Evaluation": "liftgate.evaluation.records",
    "DriftFinding": "liftgate.deploy.production.drift",
    "ExportProofs": "liftgate.services.export_proof",
    "ExportResult": "liftgate.services.exporting",
    "Finding": "liftgate.checks.finding",
    "FrameDraw": "liftgate.judging.frame_design",
    "Interval": "liftgate.stats.interval",
    "JudgedComparison": "liftgate.judging.compare",
    "JudgementPlan": "liftgate.judging.plan",
    "LiftgateError": "liftgate.errors",
    "MarkedRate": "liftgate.judging.marks",
    "MirrorResult": "liftgate.deploy.registry.mirror",
    "ModelVersion": "liftgate.deploy.registry.version",
    "Plan": "liftgate.services.study_runs",
    "Planned": "liftgate.pipeline.flow_plan",
    "PredictionResult": "liftgate.pipeline.model_predictions",
    "Predictions": "liftgate.data.core.predictions",
    "Preparation": "liftgate.pipeline.preparing",
    "ProductionTest": "liftgate.services.production_test",
    "Promotion": "liftgate.deploy.registry.promotion",
    "RegistryCheck": "liftgate.deploy.registry.store",
    "Review": "liftgate.judging.review",
    "ReviewedKind": "liftgate.judging.review",
    "RunResult": "liftgate.services.study_runs",
    "ServedPredictions": "liftgate.services.served_prediction",
    "ShadowResult": "liftgate.services.shadow",
    "SizeAnswer": "liftgate.evaluation.sample_size",
    "Status": "liftgate.pipeline.control.status",
    "UsageError": "liftgate.errors",
    "Verdict": "liftgate.evaluation.records",
    "WatchResult": "liftgate.deploy.watching.watcher",
    "WatchSettings": "liftgate.deploy.watching.watcher",
    "Worth": "liftgate.evaluation.more_data",
}
"""Public class → module where it is defined"""

__all__ = [
    "ApiAccess",
    "ApiPredictions",
    "BenchResult",
    "CheckResult",
    "Client",
    "Comparison",
    "Comparisons",
    "Costs",
    "Dataset",
    "Detached",
    "Diagnosis",
    "DrawnJudgements",
    "DriftFinding",
    "Evaluation",
    "ExportProofs",
    "ExportResult",
    "Finding",
    "FrameDraw",
    "Interval",
    "JudgedComparison",
    "JudgementPlan",
    "LiftgateError",
    "MarkedRate",
    "MirrorResult",
    "ModelVersion",
    "Plan",
    "Planned",
    "PredictionResult",
    "Predictions",
    "Preparation",
    "ProductionTest",
    "Promotion",
    "RegistryCheck",
    "Review",
    "ReviewedKind",
    "RunResult",
    "ServedPredictions",
    "ShadowResult",
    "SizeAnswer",
    "Status",
    "UsageError",
    "Verdict",
    "WatchResult",
    "WatchSettings",
    "Worth",
    "add_export",
    "add_model",
    "ask",
    "bench",
    "board",
    "check",
    "compare",
    "compare_arms",
    "compare_judgements",
    "compare_sample",
    "cost",
    "detach",
    "doctor",
    "draw_sample",
    "drift",
    "evaluate",
    "evaluate_api",
    "evaluate_sample",
    "explain",
    "export",
    "init",
    "judge",
    "list_models",
    "logs",
    "mend_mistakes",
    "mirror_models",
    "months",
    "plan",
    "predict",
    "predict_api",
    "prepare",
    "promote",
    "prove_exports",
    "read_marks",
    "report",
    "review_mistakes",
    "reviewed_mistakes",
    "rollback",
    "run",
    "serve",
    "shadow_report",
    "shadow_start",
    "shadow_status",
    "shadow_stop",
    "show_model",
    "sign_model",
    "size",
    "size_difference",
    "size_kappa",
    "size_models",
    "size_rate",
    "size_seeds",
    "status",
    "stop",
    "verify_models",
    "watch",
    "worth",
]


__getattr__ = lazy_names(__name__, VERBS, TYPES)


def __dir__() -> list[str]:
    return sorted(__all__)
