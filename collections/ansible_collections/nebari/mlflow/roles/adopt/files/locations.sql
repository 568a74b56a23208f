-- Every column that says where artifacts are. A location below one of `roots`, a JSON list, becomes one below the
-- server's own store, which every client reaches through the server, and no client needs another host for. Then what
-- leads neither there nor to the new store itself is counted.
BEGIN;
CREATE TEMP TABLE place AS
SELECT relname, attname, condition FROM (VALUES
    ('experiments', 'artifact_location', ''), ('runs', 'artifact_uri', ''), ('model_versions', 'source', ''),
    ('model_versions', 'storage_location', ''), ('logged_models', 'artifact_location', ''),
    ('trace_tags', 'value', $$ AND key = 'mlflow.artifactLocation'$$)) AS known (relname, attname, condition)
WHERE EXISTS (SELECT FROM information_schema.columns
              WHERE table_schema = 'public' AND table_name = relname AND column_name = attname);

SELECT format($$WITH moved AS (UPDATE public.%1$I SET %2$I = 'mlflow-artifacts:/' || ltrim(substr(%2$I, length(%3$L) + 1), '/')
    WHERE (%2$I = %3$L OR starts_with(%2$I, %3$L || '/')) %4$s RETURNING 1)
  SELECT 'moved', %5$L, count(*), %3$L FROM moved HAVING count(*) > 0$$,
  relname, attname, root, condition, relname || '.' || attname)
FROM place, json_array_elements_text(:'roots'::json) AS root WHERE root <> '' \gexec

SELECT format($$SELECT 'elsewhere', %5$L, count(*), root
  FROM (SELECT coalesce(substring(%2$I FROM '^[A-Za-z0-9+.-]+://[^/]*'), substring(%2$I FROM '^/[^/]*'), %2$I) AS root
        FROM public.%1$I WHERE %2$I <> '' %4$s AND %2$I !~ '^(mlflow-artifacts:/([^/]|$)|models:|runs:|dummy-source$|prompt-template$)'
          AND %2$I <> %3$L AND NOT starts_with(%2$I, %3$L || '/')) AS other
  GROUP BY root ORDER BY root$$,
  relname, attname, rtrim(:'store', '/'), condition, relname || '.' || attname)
FROM place \gexec
COMMIT;
