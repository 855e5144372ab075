from improved_gan.export.errors import ExportError, needs_extra


def test_a_missing_package_is_one_line_with_its_remedy() -> None:
    error = needs_extra(ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime"))
    assert isinstance(error, ExportError)
    assert "onnxruntime is not installed" in str(error)
    assert "'improved-gan[export]'" in str(error)
