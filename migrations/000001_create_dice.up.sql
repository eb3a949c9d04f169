CREATE FUNCTION sum_of_values(object JSONB) RETURNS NUMERIC
LANGUAGE SQL IMMUTABLE STRICT PARALLEL SAFE
AS 'SELECT sum(value::numeric) FROM jsonb_each_text(object)';

-- Collation C: names sort the same on every server and in every store, and no upgrade of a C library can
-- silently invalidate the index.
CREATE TABLE die_specifications (
  identifier VARCHAR(50) COLLATE "C" PRIMARY KEY
    CONSTRAINT identifier_is_a_name CHECK (identifier ~ '^[A-Za-z0-9_-]{1,50}$'),
  faces INTEGER[] NOT NULL
    CONSTRAINT faces_are_a_list CHECK (
      array_ndims(faces) = 1 AND array_lower(faces, 1) = 1 AND cardinality(faces) BETWEEN 1 AND 1000)
    CONSTRAINT faces_are_numbers CHECK (array_position(faces, NULL) IS NULL),
  error_rate DOUBLE PRECISION NOT NULL
    CONSTRAINT error_rate_is_a_fraction CHECK (error_rate BETWEEN 0 AND 1),
  probabilities JSONB
    CONSTRAINT probabilities_are_an_object CHECK (jsonb_typeof(probabilities) = 'object'),
  CONSTRAINT probabilities_name_each_face CHECK (
    probabilities ?& faces::text[] AND probabilities - faces::text[] = '{}'),
  CONSTRAINT probabilities_are_fractions CHECK (
    NOT jsonb_path_exists(probabilities, 'strict $.* ? (@.type() != "number" || @ < 0 || @ > 1)')),
  -- Constraints are checked in the order of their names, so these are numbers by now.
  CONSTRAINT probabilities_sum_to_1 CHECK (abs(sum_of_values(probabilities) - 1) < 0.000001)
);

COMMENT ON TABLE die_specifications IS 'Every die that can be rolled';
COMMENT ON COLUMN die_specifications.faces IS 'What each position shows; repeats allowed';
COMMENT ON COLUMN die_specifications.error_rate IS 'Share of single rolls that fail, from 0 to 1';
COMMENT ON COLUMN die_specifications.probabilities IS
  'Probability of each distinct face, {"1": 0.5, "6": 0.5}; NULL when all positions are equally likely';

CREATE VIEW dice AS
SELECT identifier AS id,
       identifier AS name,
       cardinality(faces) AS sides,
       COALESCE(probabilities, (
         SELECT jsonb_object_agg(face, share)
         FROM (
           SELECT face, count(*)::double precision / cardinality(faces) AS share
           FROM unnest(faces) AS face
           GROUP BY face
         ) AS shares
       )) AS probabilities,
       faces,
       error_rate
FROM die_specifications;

COMMENT ON VIEW dice IS 'The dice as services read them: probabilities per distinct face, given or worked out';
