"""The encoder of one task, carried to the next."""

import pytest
import torch

from frtune import InputError, KeywordExtraction, SentenceSimilarity, build_model
from frtune.models.transfer import prove_encoder
from kinds import ENCODERS


@pytest.mark.parametrize("family", ENCODERS)
def test_keywords_go_on_from_the_saved_encoder_of_similarity(tiny, tmp_path, family):
    similarity = SentenceSimilarity(labels=["0", "1"])
    model, tokenizer = build_model(similarity, checkpoint=str(tiny(family)), proof=False)
    with torch.no_grad():
        for weight in model.base_model.parameters():
            weight += 0.01  # as if it had been trained
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    tagger, _ = build_model(KeywordExtraction(), checkpoint=str(tmp_path), proof=False)
    assert tagger.config.num_labels == 3
    assert prove_encoder(tagger, tmp_path) == len(tagger.base_model.state_dict())
    with pytest.raises(RuntimeError, match="differs"):
        prove_encoder(tagger, tiny(family))


def test_a_directory_without_a_full_model_is_refused(tiny, tmp_path):
    model, _ = build_model(KeywordExtraction(), checkpoint=str(tiny("bert")), proof=False)
    with pytest.raises(InputError, match=r"holds no model\.safetensors"):
        prove_encoder(model, tmp_path)
