#pragma once

#include "json.hpp"
#include "stack.hpp"
#include "wavenet.hpp"

namespace amp::nn {

/// What every family's loader starts from: the file's path and name.
ModelInfo describe(const Json& root, const std::string& family, const std::string& architecture);

/// The project's own JSON (models/README.md). Raises LoadError.
std::shared_ptr<const Model> load_native(const Json& root);

/// NAM, every architecture of file versions 0.5.0 to 0.7.x. Raises LoadError; what it cannot play
/// it names.
std::shared_ptr<const Model> load_nam(const Json& root);

/// NAM, architecture "LSTM": starts from the file's own state and half a second of silence, as
/// NeuralAmpModelerCore does. `info` is what was read of the file, with the rate of the model
/// around it where there is one. Raises LoadError.
std::shared_ptr<const Model> load_nam_lstm(const Json& root, ModelInfo info);

/// RTNeural's keras JSON, as AIDA-X plays it. Raises LoadError.
std::shared_ptr<const Model> load_rtneural(const Json& root);

/// model_data and state_dict of Automated-GuitarAmpModelling (Proteus, NeuralPi); its input is
/// added where the file does not say skip 0. Raises LoadError.
std::shared_ptr<const Model> load_state_dict(const Json& root);

/// PedalNetRT and WaveNetVA. Raises LoadError.
std::shared_ptr<const Model> load_pedalnet(const Json& root);

/// A list of `rows` lists of `columns` numbers, one behind the other. Raises LoadError.
std::vector<float> read_matrix(const Json& list, size_t rows, size_t columns);

/// [rows][columns] to [columns][rows].
std::vector<float> transpose(const std::vector<float>& matrix, size_t rows, size_t columns);

/// A sample rate, a number or its decimal text; 0 and a warning where `holder` has none.
int read_sample_rate(const Json& holder, ModelInfo& info);

/// The state and weights that a loader accepts, in floats: 64 MB.
inline constexpr long kMostFloats = 16L << 20L;

/// Raise LoadError where a stack needs more than kMostFloats, kMostMacs or too long a field.
void check_size(const Json& root, const StackSpec& spec);

/// What a net may cost, in multiply-adds: more than the first a sample no computer plays live, and
/// more than the second before the first sample nobody waits for.
inline constexpr long kMostMacs = 1L << 20U;
inline constexpr long kMostWarmMacs = 20'000'000'000L;

/// Raise LoadError where a net needs more than kMostMacs a sample.
void check_macs(const Json& root, long macs_per_sample);

/// Raise LoadError where `frames` played in advance take more than kMostWarmMacs.
void check_warm_macs(const Json& root, long frames, long macs_per_sample);

/// Play a tenth of a second of noise: a file whose numbers run away is refused before it is heard.
/// Raises LoadError.
void try_out(const Json& root, const Model& model);

/// Play `input` on a fresh net; `expected` must come out, from sample `from` on, within
/// `tolerance` of its peak. Raises LoadError.
void check_self_test(const Json& root, const Model& model, const std::vector<float>& input,
                     const std::vector<float>& expected, size_t from, float tolerance);

/// Receptive fields longer than this are refused: ten seconds at 48 kHz.
inline constexpr long kMostFieldFrames = 480000;

/// Raise LoadError where the layers need more than 64 MB of state, kMostMacs or too long a field.
void check_size(const Json& root, const WaveNetSpec& spec);

}  // namespace amp::nn
