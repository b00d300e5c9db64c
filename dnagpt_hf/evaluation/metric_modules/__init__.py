"""Metrics that `evaluate.load` reads from their folders, without network."""

CITATION = """
@article{zhang2023dnagpt,
  title={{DNAGPT}: A Generalized Pre-trained Tool for Versatile DNA Sequence Analysis Tasks},
  author={Zhang, Daoan and Zhang, Weitong and Zhao, Yu and Zhang, Jianguo and He, Bing and
    Qin, Chenchen and Yao, Jianhua},
  journal={arXiv preprint arXiv:2307.05628},
  year={2023}
}
"""
