"""All tables."""
import rows_elementary
import rows_functions
import rows_index
import rows_losses
import rows_layers
import rows_math
import rows_training
