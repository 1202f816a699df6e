# SPDX-License-Identifier: Apache-2.0
"""Model files as services: ONNX graphs answered as they are, scikit-learn and torch files made ONNX once.

How each file is loaded, which decides what a stranger's file could do here:

    .npz            numbers read without pickles, computed in the gateway itself (`perceptron`, `exact`)
    .onnx           a graph of known operators, read and computed by onnxruntime in a worker process; files
                    beside it and custom operators are refused
    .joblib .pkl    a pickle is a program: opened in the sandbox only, where it becomes ONNX
    .pt2            torch.export's archive can hold pickles: opened in the sandbox only, where it becomes ONNX

Nothing is ever unpickled outside the sandbox, whoever the file is from.
"""
