#pragma once

#include "json.hpp"
#include "wavenet.hpp"

namespace amp::nn {

/// What every family's loader starts from: the file's path and name.
ModelInfo describe(const Json& root, const std::string& family, const std::string& architecture);

/// The project's own JSON (models/README.md). Raises LoadError.
std::shared_ptr<const Model> load_native(const Json& root);

/// NAM, architecture "WaveNet" of the A1 form: Tanh, ungated, file versions 0.5.0 to 0.7.x.
/// Raises LoadError; what it cannot play it names.
std::shared_ptr<const Model> load_nam(const Json& root);

/// Receptive fields longer than this are refused: ten seconds at 48 kHz.
inline constexpr long kMostFieldFrames = 480000;

/// Raise LoadError where the layers need more than 64 MB of state or too long a field.
void check_size(const Json& root, const WaveNetSpec& spec);

}  // namespace amp::nn
