"""An auditor of unlearned language models.

How much of what was to be forgotten can still be got out, and how sure are we?

The pipeline, one package a stage::

    plan → lock → data + models → methods → attacks → metrics → measurements → risk → evidence → report
"""

__version__ = "0.1.0"
