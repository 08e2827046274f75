from typing import List

from mmengine.model import BaseTTAModel

from mmtoy.registry import MODELS
from mmtoy.structures import ToyDataSample


@MODELS.register_module()
class AverageScoreTTA(BaseTTAModel):
    """Average the scores of all views of a picture."""

    def merge_preds(self, data_samples_list: List[List[ToyDataSample]]) -> List[ToyDataSample]:
        """Merge the predictions of the views to one a picture."""
        merged_data_samples = []
        for data_samples in data_samples_list:
            merged_data_sample: ToyDataSample = data_samples[0].new()
            merged_score = sum(data_sample.pred_label.score for data_sample in data_samples) / len(
                data_samples
            )
            merged_data_sample.set_pred_score(merged_score)
            merged_data_samples.append(merged_data_sample)
        return merged_data_samples
