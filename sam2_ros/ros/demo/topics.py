"""The topics of the demo's graph."""

IMAGE = "/camera/image"
MASKLETS = "/sam2/masklets"
PROMPTS = "/sam2/prompts"
RESULTS = "/sam2/prompt_results"
RECORDED = (f"{IMAGE}/compressed", PROMPTS, "/sam2/applied_prompts", RESULTS, MASKLETS)
