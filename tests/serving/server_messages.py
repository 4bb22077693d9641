"""The protocol's messages of the files that ModelServer reads.

The package `tensorflow-serving-api` lacks the message of `--batching_parameters_file`,
so it is described here: fields and numbers are those of session_bundle_config.proto in
TensorFlow Serving.
"""

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

_INT64 = ".google.protobuf.Int64Value"
# Name, number, type, type of the message, label.
_Field = descriptor_pb2.FieldDescriptorProto
_ONE, _MANY = _Field.LABEL_OPTIONAL, _Field.LABEL_REPEATED
_BATCHING = (
    ("max_batch_size", 1, _Field.TYPE_MESSAGE, _INT64, _ONE),
    ("batch_timeout_micros", 2, _Field.TYPE_MESSAGE, _INT64, _ONE),
    ("max_enqueued_batches", 3, _Field.TYPE_MESSAGE, _INT64, _ONE),
    ("num_batch_threads", 4, _Field.TYPE_MESSAGE, _INT64, _ONE),
    ("thread_pool_name", 5, _Field.TYPE_MESSAGE, ".google.protobuf.StringValue", _ONE),
    ("allowed_batch_sizes", 6, _Field.TYPE_INT64, None, _MANY),
    ("pad_variable_length_inputs", 7, _Field.TYPE_BOOL, None, _ONE),
)


def _batching_parameters():
    """The class of the message `tensorflow.serving.BatchingParameters`."""
    file = descriptor_pb2.FileDescriptorProto(
        name="tensorflow_serving/servables/tensorflow/session_bundle_config.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    message = file.message_type.add(name="BatchingParameters")
    for name, number, kind, message_type, label in _BATCHING:
        message.field.add(
            name=name, number=number, type=kind, type_name=message_type, label=label
        )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    described = pool.FindMessageTypeByName("tensorflow.serving.BatchingParameters")
    return message_factory.GetMessageClass(described)


BatchingParameters = _batching_parameters()


def batching(text: str):
    """Reads `batching.config` as ModelServer does."""
    return text_format.Parse(text, BatchingParameters())


def model_list(text: str):
    """Reads `models.config` as ModelServer does; needs `tensorflow-serving-api`."""
    from tensorflow_serving.config import model_server_config_pb2

    return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
